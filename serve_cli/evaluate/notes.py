"""What the figures of `lifted eval` are, in words that stand below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.metrics.clustering import PROTOCOLS
from serve_cli.evaluate.published import TEST_IMAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serve_cli.evaluate.eval_options import EvalOptions
    from serve_cli.evaluate.measure import Measured


def interval_in_words(first: Measured) -> str:
    """What the intervals tell."""
    if first.sampled:
        return (
            "95 %: where the value of all queries lies (Wilson, sample without replacement); "
            "of differences: over classes (bootstrap of 2,000)"
        )
    if len(np.unique(first.labels)) < 2:
        return "none, which takes two classes"
    return "95 %, over classes (bootstrap of 2,000)"


def clustering_in_words(options: EvalOptions) -> str:
    """How k-means was run; empty if it was not."""
    if options.clustering is None:
        return ""
    protocol = PROTOCOLS[options.clustering]
    starts = f"init {protocol.init}, n_init {protocol.n_init}, at most {protocol.max_iter} iterations"
    return f"k-means, k = classes, {protocol.name} protocol: {starts}, seed {options.seed}"


def note_in_words(measured: Sequence[Measured], paired: bool, options: EvalOptions) -> str:
    """What stands side by side and does not compare; empty if all does."""
    notes = []
    if not paired:
        notes.append("not of the same images, so that no differences are given")
    if all(one.alone == len(one.labels) for one in measured):
        notes.append("no query has an image of its class to find")
    expected = TEST_IMAGES.get(options.published or "")
    if expected and any(one.population != expected for one in measured):
        notes.append(f"published values are of {expected:,} queries; these are others and do not compare")
    return "; ".join(notes)
