"""Options of `lifted report`, and facts about the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gluon_lifted.progress import clock
from serve_cli.evaluate.metrics import recall_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from serve_cli.choices import MapMethod

MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of `lifted report`.

    Parameters
    ----------
    source : str or Path
        A folder of `lifted embed`.
    out : str or Path
        The HTML file to write.
    other : str or Path, optional
        A second folder, of the same images embedded by another model, to compare with.
    run : str or Path, optional
        Folder of the training run that made the model: marks the classes that it trained on, and adds recall before
        training.
    baseline : bool, optional
        Read all images and add retrieval by raw pixels. By default up to 10,000 images are compared.
    ks : tuple of int
        Ranks to report recall at.
    method : str
        Layout method of the map: ``"tsne"``, ``"pca"`` or ``"umap"``.
    map_images : int
        Largest number of images on the map.
    max_bytes : int
        Largest size of the page.
    seed : int
        Seed of samples and of the map.
    title : str, optional
        Title of the page; by default the model's name.
    command : str
        Command that made the page, shown on it.
    overwrite : bool
        Replace a file even if it is not a report.
    roots : sequence of str or Path
        Read images below these folders instead of the source that the embeddings name.
    fetch : bool
        Fetch images that have URLs.
    """

    source: str | Path
    out: str | Path
    other: str | Path | None = None
    run: str | Path | None = None
    baseline: bool | None = None
    ks: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    method: MapMethod = "tsne"
    map_images: int = 2000
    max_bytes: int = 8 * MB
    seed: int = 0
    title: str | None = None
    command: str = ""
    overwrite: bool = False
    roots: Sequence[str | Path] = ()
    fetch: bool = False


@dataclass(frozen=True)
class NotShown:
    """Pictures that are left out for one reason.

    Parameters
    ----------
    reason : str
        One of `serve_cli.report.access.Reason`.
    pictures : int
        Number of pictures.
    why : str
        The reason in words, with the option that helps.
    """

    reason: str
    pictures: int
    why: str

    def __str__(self) -> str:
        return f"{self.pictures:,} {self.why}"


@dataclass(frozen=True)
class ContextFacts:
    """What recall@1 is compared with.

    Parameters
    ----------
    interval : tuple of float or None
        95 % interval of recall@1; None for a single class.
    baselines : dict
        Name -> recall@1 in [0, 1] of something simpler on the same images.
    differences : dict
        Metric -> value, low and high: these embeddings minus the other ones; empty without other ones.
    trained_classes : int or None
        Number of classes that were trained on; None if they are not known.
    """

    interval: tuple[float, float] | None
    baselines: dict[str, float]
    differences: dict[str, dict[str, float | None]]
    trained_classes: int | None

    def facts(self) -> dict[str, str]:
        """Return the facts in words."""
        facts = {}
        if self.interval is not None:
            facts["R@1, 95 %"] = f"{100 * self.interval[0]:.2f} to {100 * self.interval[1]:.2f} %"
        facts |= {f"R@1, {name}": f"{100 * value:.2f} %" for name, value in self.baselines.items()}
        if "R@1" in self.differences:
            difference = self.differences["R@1"]
            bounds = [f"{100 * bound:+.2f}" for bound in (difference["low"], difference["high"]) if bound is not None]
            interval = f" (95 %: {' to '.join(bounds)})" if bounds else ""
            facts["R@1, difference"] = f"{100 * (difference['value'] or 0):+.2f} points{interval}"
        if self.trained_classes is not None:
            facts["trained on"] = f"{self.trained_classes:,} of the classes"
        return facts


@dataclass(frozen=True)
class ReportFacts:
    """Facts about the page that was written.

    Parameters
    ----------
    out : Path
        The HTML file.
    bytes : int
        Size of the page.
    images, classes : int
        Number of images with an embedding, and of their classes.
    failed : int
        Number of images left out because they have no embedding.
    recall : dict
        k -> recall in [0, 1].
    context : ContextFacts
        What recall is compared with.
    map_images : int
        Number of images on the map.
    pictures, pictures_missing : int
        Number of pictures needed, and how many of them are not shown.
    not_shown : tuple of NotShown
        Reasons for the missing pictures.
    duplicates, label_errors : int
        Number of pairs at near-zero distance within one class, and across two.
    seconds : float
        Wall time.
    """

    out: Path
    bytes: int
    images: int
    classes: int
    failed: int
    recall: dict[int, float]
    context: ContextFacts
    map_images: int
    pictures: int
    pictures_missing: int
    not_shown: tuple[NotShown, ...]
    duplicates: int
    label_errors: int
    seconds: float

    def facts(self) -> dict[str, str]:
        """Return the facts in words."""
        failed = f"; {self.failed:,} without an embedding left out" if self.failed else ""
        missing = f", {self.pictures_missing:,} of them not shown" if self.pictures_missing else ""
        return {
            "report": f"{self.out} ({self.bytes / MB:.1f} MB)",
            "images": f"{self.images:,} of {self.classes:,} classes{failed}",
            "recall": ", ".join(f"{recall_name(k)} {100 * value:.2f} %" for k, value in self.recall.items()),
            **self.context.facts(),
            "pictures": f"{self.pictures:,}{missing}; {self.map_images:,} on the map",
            **({"not shown": "; ".join(map(str, self.not_shown))} if self.not_shown else {}),
            "duplicates": f"{self.duplicates:,} pairs",
            "suspected label errors": f"{self.label_errors:,} pairs",
            "time": clock(self.seconds),
        }
