"""Whether training beat its baselines, and what to try if it did not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gluon_lifted.metrics.recall_comparison import (
    EMBEDDING,
    PIXELS,
    POOLED,
    estimate_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.metrics.bootstrap import Estimate
    from gluon_lifted.metrics.recall_comparison import RecallComparison

STARTED = {EMBEDDING: "the embedding before training", POOLED: "the pooled features before training"}


@dataclass(frozen=True)
class Verdict:
    """The trained embedding against a baseline, on the same images.

    Parameters
    ----------
    baseline : str
        Name of the baseline.
    kind : str
        Which images: ``"validation"`` or ``"test"``.
    difference : Estimate
        Recall@1 of the trained embedding minus that of the baseline, with its 95 % interval.
    """

    baseline: str
    kind: str
    difference: Estimate

    @property
    def outcome(self) -> str:
        """``"better"`` or ``"worse"`` if the interval excludes 0, else ``"undecided"``."""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "undecided"

    def to_json(self) -> dict[str, Any]:
        """Return baseline, images, difference and outcome."""
        difference = estimate_to_json(self.difference)
        return {"baseline": self.baseline, "on": self.kind, "difference": difference, "trained": self.outcome}


def baseline_verdicts(
    start: RecallComparison | None, validation: RecallComparison, test: RecallComparison | None
) -> tuple[Verdict, ...]:
    """Compare the trained embedding with raw pixels, and with embedding and pooled features before training.

    The network before training is known on the validation images only. Pixels are compared on the test images if
    these were measured, since there are usually more of them.
    """
    verdicts = []
    for after, before, name in (
        (test or validation, test or validation, PIXELS),
        (validation, start, EMBEDDING),
        (validation, start, POOLED),
    ):
        trained, baseline = after.get(EMBEDDING), before and before.get(name)
        if trained and baseline:
            verdicts.append(Verdict(STARTED.get(name, name), after.kind, after.difference(trained, baseline)))
    return tuple(verdicts)


def warning(config: TrainConfig, verdicts: Sequence[Verdict]) -> str:
    """Say what training lost to, or cannot be told apart from, and what to try. Empty if it beat all baselines."""
    worse = [verdict for verdict in verdicts if verdict.outcome == "worse"]
    undecided = [verdict for verdict in verdicts if verdict.outcome == "undecided"]
    clauses = [f"is lower than that of {_listed(worse)}"] if worse else []
    if undecided:
        clauses.append(f"cannot be distinguished from that of {_listed(undecided)}")
    if not clauses:
        return ""
    remedy = _remedy(config, _names(worse), _names(undecided))
    return f"recall@1 {' and '.join(clauses)}. {remedy}"


def _names(verdicts: Iterable[Verdict]) -> set[str]:
    return {verdict.baseline for verdict in verdicts}


def _listed(verdicts: Iterable[Verdict]) -> str:
    return ", ".join(f"{verdict.baseline} ({_points(verdict)})" for verdict in verdicts)


def _points(verdict: Verdict) -> str:
    value, low, high = (
        100 * number for number in (verdict.difference.value, verdict.difference.low, verdict.difference.high)
    )
    interval = "" if math.isnan(low) else f" [{low:+.1f}, {high:+.1f}]"
    return f"{value:+.1f} points{interval} on {verdict.kind}"


def _remedy(config: TrainConfig, lost_to: set[str], undecided: set[str]) -> str:
    """Return the change that helps most, given what this run did."""
    rate = f"Lower --learning-rate (it is {config.learning_rate:g})"
    if not config.weights:
        return (
            "Start from trained weights (--weights imagenet, or a file). Without any, train longer and on more images."
        )
    if STARTED[EMBEDDING] in lost_to:
        return f"{rate} or --iterations, because training has made the initial weights worse. Or give --keep best."
    if STARTED[POOLED] in lost_to:
        return f"Raise --iterations or --dim (it is {config.dim}), or train on more images."
    if PIXELS in lost_to:
        return f"Raise --crop (it is {config.crop} px), so that the network sees more detail."
    if STARTED[EMBEDDING] in undecided:  # all of training counted for little, or its start is what was kept
        return f"{rate}, raise --iterations, or train on more images."
    return "Raise --iterations, or train on more images."
