"""The results of `lifted eval`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gluon_lifted.metrics.bootstrap import Estimate
    from serve_cli.evaluate.published import PublishedRow


@dataclass(frozen=True)
class Result:
    """Metrics of the embeddings of one source.

    Parameters
    ----------
    name : str
        Name of the source.
    dim : int
        Width D of its embeddings.
    metrics : dict
        Metric -> estimate in [0, 1].
    queries, classes : int
        Numbers of queries and of their classes.
    gallery : int
        Number of images in each query's gallery, without itself.
    alone : int
        Number of queries without an image of their class in the gallery. They count as misses, and are left out of
        R-precision, MAP@R and mAP.
    """

    name: str
    dim: int
    metrics: dict[str, Estimate]
    queries: int
    classes: int
    gallery: int
    alone: int

    def facts(self, gallery: str | None) -> str:
        """Return the numbers of queries and gallery images in words. ``gallery`` is the gallery's name."""
        where = f"{self.gallery:,} others" if gallery is None else f"the {self.gallery:,} images of {gallery}"
        alone = f"; {self.alone:,} have no image of their class there" if self.alone else ""
        return f"{self.queries:,} of {self.classes:,} classes, each searched among {where}{alone}"


@dataclass(frozen=True)
class Difference:
    """Scores of one source minus those of another on the same images: metric -> estimate in [-1, 1]."""

    name: str
    than: str
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class EvalReport:
    """Metrics side by side.

    Parameters
    ----------
    results : tuple of Result
        One per source.
    differences : tuple of Difference
        Each later result minus the first, and the first minus raw pixels. Empty unless all have the same images.
    published : tuple of PublishedRow
        Published metrics on the data set, if requested.
    gallery : str or None
        Name of the gallery; None if each image is searched among all others of its source.
    failed : int
        Images left out because they have no embedding.
    distance : {"euclidean", "cosine"}
        Distance that ranked the gallery.
    interval, clustering, note : str
        Meaning of the intervals, settings of k-means, and results that are not comparable, in words.
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
        """Return the report in JSON types. Values, published ones included, are in [0, 1]. Undefined ones are null."""
        report: dict[str, Any] = _without_nan(asdict(self))
        for row in report["published"]:
            row["metrics"] = {metric: round(value / 100, 6) for metric, value in row["metrics"].items()}
        return report

    def _repr_markdown_(self) -> str:
        """Show the tables in a notebook."""
        from serve_cli.evaluate.eval_tables import to_markdown

        return to_markdown(self)

    def facts(self) -> dict[str, str]:
        """Return facts about the results in words."""
        queries = {f"queries of {result.name}": result.facts(self.gallery) for result in self.results}
        first = next(iter(queries.values()))
        facts = ({"queries": first} if set(queries.values()) == {first} else queries) | {
            "left out": f"{self.failed:,} images without an embedding" if self.failed else "",
            "distance": self.distance,
            "intervals": self.interval,
            "clusters": self.clustering,
            "note": self.note,
        }
        return {name: text for name, text in facts.items() if text}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return None if isinstance(value, float) and math.isnan(value) else value
