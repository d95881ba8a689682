"""Options of `lifted report`, and the facts about the page it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serve_cli.evaluate.metrics import recall_name
from serve_cli.progress import clock

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.choices import MapMethod

MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of `lifted report`.

    Parameters
    ----------
    source : Path
        A folder that `lifted embed` wrote.
    out : Path
        The page to write.
    ks : tuple of int
        Ranks to report recall at.
    method : str
        Method that places images on the map: ``"tsne"``, ``"pca"`` or ``"umap"``.
    map_images : int
        Images on the map, at most.
    max_bytes : int
        Largest size of the page.
    seed : int
        Decides everything that is drawn at random.
    title : str, optional
        Title of the page; by default the model's name.
    command : str
        Command that made the page, shown on it.
    overwrite : bool
        Replace a file even if it is not a report.
    roots : tuple of Path
        Folders below which images are read, in place of the source that the embeddings name.
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


@dataclass(frozen=True)
class NotShown:
    """Pictures that are left out for one reason.

    Parameters
    ----------
    reason : str
        One of `serve_cli.report.access.Reason`.
    pictures : int
    why : str
        In words, with the option that helps.
    """

    reason: str
    pictures: int
    why: str

    def __str__(self) -> str:
        return f"{self.pictures:,} {self.why}"


@dataclass(frozen=True)
class ReportFacts:
    """The page that was written.

    Parameters
    ----------
    out : Path
    bytes : int
        Size of the page.
    images, classes : int
        Images that were compared, and their classes.
    failed : int
        Images left out because they have no embedding.
    recall : dict
        k -> recall in [0, 1].
    map_images : int
        Images on the map.
    pictures, pictures_missing : int
        Pictures that were wanted, and how many of these are not shown.
    not_shown : tuple of NotShown
        Reasons for these.
    duplicates, label_errors : int
        Pairs at near-zero distance in one class, and across two.
    seconds : float
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
        """Text for each fact."""
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
