"""When a model of lower precision is good enough to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.choices import Device
    from serve_cli.compress.comparison import PrecisionComparison


@dataclass(frozen=True, kw_only=True)
class AcceptanceCriteria:
    """Criteria that a model of lower precision must meet.

    Parameters
    ----------
    dataset : str, optional
        Data set to measure recall@1 on, by a name that `load_dataset` knows.
    data : Path, optional
        Root of the data set.
    max_recall_drop : float
        Largest acceptable loss of recall@1, in percentage points.
    force : bool
        Write the model even if it is slower or worse.
    device : Device
        Device on which the models are compared; see `ModelOptions`.
    """

    dataset: str | None = None
    data: Path | None = None
    max_recall_drop: float = 0.5
    force: bool = False
    device: Device = "cpu"

    def __post_init__(self) -> None:
        if (self.dataset is None) != (self.data is None):
            raise ConfigError("give --eval and --data together: a data set's name and its folder.")

    def objection(self, comparison: PrecisionComparison) -> str:
        """Return why the model is worse, as the middle of a sentence, or an empty string if it is acceptable."""
        if comparison.recall is not None and comparison.single_recall is not None:
            drop = 100 * (comparison.single_recall - comparison.recall)
            if drop > self.max_recall_drop:
                return (
                    f"loses {drop:.2f} points of recall@1 ({comparison.recall:.2%} instead of "
                    f"{comparison.single_recall:.2%}), more than the {self.max_recall_drop:g} that --max-recall-drop "
                    "allows"
                )
        rate, single_rate = comparison.images_per_s, comparison.single_images_per_s
        if rate <= single_rate:
            return f"is not faster than fp32 here: {rate:.0f} images/s instead of {single_rate:.0f}"
        return ""
