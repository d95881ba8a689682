"""What `lifted eval` found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gluon_lifted.metrics.bootstrap import Estimate
    from serve_cli.runtime.evaluation.published import PublishedRow


@dataclass(frozen=True)
class Result:
    """What one embedding scores: its name, its width D, metric -> estimate in [0, 1]."""

    name: str
    dim: int
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class Difference:
    """What one embedding scores more than another on the same images: metric -> estimate in [-1, 1]."""

    name: str
    than: str
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class EvalReport:
    """Metrics side by side.

    Parameters
    ----------
    results : tuple of Result
    differences : tuple of Difference
        Of each result to the first; empty where they are not of the same images.
    published : tuple of PublishedRow
        What others published on the data set, where that was asked for.
    queries, gallery, classes : int
        Images of the first result that were looked up, those they were looked up in, and classes of the queries.
    alone : int
        Queries without another image of their class: they count as misses, and are left out of R-precision, MAP@R
        and mAP.
    failed : int
        Images left out because they have no embedding.
    distance : str
    interval, clustering : str
        What the intervals and the clusters are, in words.
    """

    results: tuple[Result, ...]
    differences: tuple[Difference, ...]
    published: tuple[PublishedRow, ...]
    queries: int
    gallery: int
    classes: int
    alone: int
    failed: int
    distance: str
    interval: str
    clustering: str

    def to_json(self) -> dict[str, Any]:
        """All of it, in types that JSON has: what is undefined is null."""
        found: dict[str, Any] = _without_nan(asdict(self))
        return found

    def facts(self) -> dict[str, str]:
        """What the figures are of, in words."""
        sets = "each in all others" if self.gallery == self.queries else f"in a gallery of {self.gallery:,}"
        failed = f"; {self.failed:,} without an embedding left out" if self.failed else ""
        alone = f"{self.alone:,} have no other image of their class" if self.alone else ""
        found = {
            "queries": f"{self.queries:,} of {self.classes:,} classes, {sets}{failed}",
            "of them": alone,
            "distance": self.distance,
            "intervals": self.interval,
            "clusters": self.clustering,
        }
        return {name: text for name, text in found.items() if text}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return None if isinstance(value, float) and math.isnan(value) else value
