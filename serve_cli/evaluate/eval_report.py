"""What `lifted eval` found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gluon_lifted.metrics.bootstrap import Estimate
    from serve_cli.evaluate.published import PublishedRow


@dataclass(frozen=True)
class Result:
    """What one embedding scores.

    Parameters
    ----------
    name : str
    dim : int
        Its width D.
    metrics : dict
        Metric -> estimate in [0, 1].
    queries, classes : int
        Images that were looked up, and their classes.
    gallery : int
        Images that each of them was looked up among, without itself.
    alone : int
        Queries without an image of their class there: they count as misses, and are left out of R-precision, MAP@R
        and mAP.
    """

    name: str
    dim: int
    metrics: dict[str, Estimate]
    queries: int
    classes: int
    gallery: int
    alone: int

    def facts(self, gallery: str | None) -> str:
        """What the figures are of, in words."""
        where = f"{self.gallery:,} others" if gallery is None else f"the {self.gallery:,} images of {gallery}"
        alone = f"; {self.alone:,} have no image of their class there" if self.alone else ""
        return f"{self.queries:,} of {self.classes:,} classes, each looked up among {where}{alone}"


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
    gallery : str or None
        Name of the gallery; None where images are looked up among all others of their own.
    failed : int
        Images left out because they have no embedding.
    distance : str
    interval, clustering, note : str
        What the intervals and the clusters are, and what does not compare, in words.
    """

    results: tuple[Result, ...]
    differences: tuple[Difference, ...]
    published: tuple[PublishedRow, ...]
    gallery: str | None
    failed: int
    distance: str
    interval: str
    clustering: str
    note: str

    def to_json(self) -> dict[str, Any]:
        """All of it, in types that JSON has: shares of 1, also where percent were published; null if undefined."""
        found: dict[str, Any] = _without_nan(asdict(self))
        for row in found["published"]:
            row["metrics"] = {metric: round(value / 100, 6) for metric, value in row["metrics"].items()}
        return found

    def facts(self) -> dict[str, str]:
        """What the figures are of, in words."""
        of = {f"queries of {result.name}": result.facts(self.gallery) for result in self.results}
        first = next(iter(of.values()))
        found = ({"queries": first} if set(of.values()) == {first} else of) | {
            "left out": f"{self.failed:,} images without an embedding" if self.failed else "",
            "distance": self.distance,
            "intervals": self.interval,
            "clusters": self.clustering,
            "note": self.note,
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
