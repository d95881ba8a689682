"""Options of `lifted report`, and facts about the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_lifted.progress import clock
from serve_cli.evaluate.metrics import recall_name

if TYPE_CHECKING:
    from serve_cli.choices import MapMethod

MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of `lifted report`.

    Parameters
    ----------
    source : Path or str
        A folder of `lifted embed`.
    out : Path or str
        The HTML file to write.
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
    roots : tuple of Path
        Read images below these folders instead of the source that the embeddings name.
    fetch : bool
        Fetch images that have URLs.
    """

    source: Path
    out: Path
    ks: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    method: MapMethod = "tsne"
    map_images: int = 2000
    max_bytes: int = 8 * MB
    seed: int = 0
    title: str | None = None
    command: str = ""
    overwrite: bool = False
    roots: tuple[Path, ...] = ()
    fetch: bool = False

    def __post_init__(self) -> None:
        for name in ("source", "out"):
            object.__setattr__(self, name, Path(getattr(self, name)))


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
            "pictures": f"{self.pictures:,}{missing}; {self.map_images:,} on the map",
            **({"not shown": "; ".join(map(str, self.not_shown))} if self.not_shown else {}),
            "duplicates": f"{self.duplicates:,} pairs",
            "suspected label errors": f"{self.label_errors:,} pairs",
            "time": clock(self.seconds),
        }
