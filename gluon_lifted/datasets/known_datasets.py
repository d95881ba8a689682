"""The table of data sets, which `load_dataset`, the command line and the configuration read."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gluon_lifted.datasets.image_table import Splits


@dataclass(frozen=True)
class DatasetDeclaration:
    """A data set: its loader, and descriptions that need no import of the loader.

    Parameters
    ----------
    module, loader_name : str
        Module of this package and its function ``Path -> Splits``. Imported on first use: it needs numpy or Pillow.
    help : str
        A short description for help texts.
    root : str
        Kind of path: ``"folder"`` or ``"file"``.
    files : str
        Content of the root, for help texts and messages.
    needs_root : bool
        Whether the root must exist. If False, the loader creates it.
    """

    module: str
    loader_name: str
    help: str
    files: str
    root: str = "folder"
    needs_root: bool = True

    @property
    def loader(self) -> Callable[[Path], Splits]:
        """The function that reads the data set. Access imports its module."""
        loader: Callable[[Path], Splits] = getattr(import_module(f"{__package__}.{self.module}"), self.loader_name)
        return loader


DATASETS: dict[str, DatasetDeclaration] = {
    "folder": DatasetDeclaration("folder", "load_folder", "a folder per class", "one sub-folder per class"),
    "manifest": DatasetDeclaration(
        "manifest", "load_manifest", "a table of images", "a .csv or .parquet table with path and label", root="file"
    ),
    "cub200": DatasetDeclaration(
        "cub200", "load_cub200", "CUB-200-2011", "images/, images.txt, image_class_labels.txt and classes.txt"
    ),
    "cars196": DatasetDeclaration(
        "cars196", "load_cars196", "Cars196", "cars_annos.mat and car_ims/, or devkit/, cars_train/ and cars_test/"
    ),
    "sop": DatasetDeclaration(
        "online_products", "load_online_products", "Stanford Online Products", "Ebay_train.txt and Ebay_test.txt"
    ),
    "glyphs": DatasetDeclaration(
        "glyphs", "load_glyphs", "characters, drawn if missing", "train/, test/ and glyphs.json", needs_root=False
    ),
}

DEFAULT_DATASET = "folder"


def load_dataset(name: str, root: str | Path, *, use_boxes: bool = False) -> Splits:
    """Read a data set.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.
    root : str or Path
        Folder of the data set, or the manifest file.
    use_boxes : bool
        Cut each image to its bounding box. The default is whole images, as in the paper.

    Raises
    ------
    ConfigError
        If the name is unknown.
    DataError
        If the root does not contain the data set, or boxes are requested and it has none.
    """
    if name not in DATASETS:
        raise ConfigError(f"data set {name!r} is unknown. Choose one of {', '.join(DATASETS)}.")
    root, declaration = Path(root), DATASETS[name]
    if declaration.needs_root and not root.exists():
        raise DataError(f"{root}: no such {declaration.root}; expected the data set {name} ({declaration.files}).")
    splits = declaration.loader(root)
    if not use_boxes:
        return splits.without_boxes()
    if splits.train.boxes is None:
        raise DataError(f"{root}: has no bounding boxes. Leave out --use-boxes.")
    return splits
