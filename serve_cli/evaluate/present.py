"""Step 4 of `lifted eval`: metrics -> a report that explains in words what its figures are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.metrics.clustering import PROTOCOLS
from serve_cli.evaluate.eval_report import EvalReport
from serve_cli.evaluate.published import TEST_IMAGES, published_rows

if TYPE_CHECKING:
    from serve_cli.evaluate.eval_options import EvalOptions
    from serve_cli.evaluate.measure import Measured
    from serve_cli.evaluate.read import EvalInputs


def present(inputs: EvalInputs, measured: Measured, options: EvalOptions) -> EvalReport:
    """Put measured and published metrics side by side."""
    return EvalReport(
        results=measured.results,
        differences=measured.differences,
        published=published_rows(options.published) if options.published else (),
        gallery=inputs.gallery.name if inputs.gallery else None,
        failed=inputs.failed,
        distance=options.distance,
        interval=_interval_text(inputs, measured),
        clustering=_clustering_text(options),
        note=_note(inputs, measured, options),
    )


def _interval_text(inputs: EvalInputs, measured: Measured) -> str:
    """What the intervals cover."""
    first = measured.results[0]
    if first.queries < len(inputs.sources[0]):
        return (
            "95 %: where the value of all queries lies (Wilson, sample without replacement); "
            "of differences: over classes (bootstrap of 2,000)"
        )
    if first.classes < 2:
        return "none, which takes two classes"
    return "95 %, over classes (bootstrap of 2,000)"


def _clustering_text(options: EvalOptions) -> str:
    """How k-means was run; empty if it was not."""
    if options.clustering is None:
        return ""
    protocol = PROTOCOLS[options.clustering]
    starts = f"init {protocol.init}, n_init {protocol.n_init}, at most {protocol.max_iter} iterations"
    return f"k-means, k = classes, {protocol.name} protocol: {starts}, seed {options.seed}"


def _note(inputs: EvalInputs, measured: Measured, options: EvalOptions) -> str:
    """Which figures side by side do not compare; empty if all do."""
    notes = []
    if not inputs.paired:
        notes.append("not of the same images, so that no differences are given")
    if all(result.alone == result.queries for result in measured.results):
        notes.append("no query has an image of its class to find")
    expected = TEST_IMAGES.get(options.published or "")
    if expected and any(len(source) != expected for source in inputs.sources):
        notes.append(f"published values are of {expected:,} queries; these are others and do not compare")
    return "; ".join(notes)
