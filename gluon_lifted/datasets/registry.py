"""Data sets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.datasets.cars196 import load_cars196
from gluon_lifted.datasets.cub200 import load_cub200
from gluon_lifted.datasets.folder import load_folder
from gluon_lifted.datasets.glyphs import load_glyphs
from gluon_lifted.datasets.image_table import Splits
from gluon_lifted.datasets.manifest import load_manifest
from gluon_lifted.datasets.online_products import load_online_products
from gluon_lifted.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATASETS: dict[str, Callable[[Path], Splits]] = {
    "folder": load_folder,
    "manifest": load_manifest,
    "cub200": load_cub200,
    "cars196": load_cars196,
    "sop": load_online_products,
    "glyphs": load_glyphs,
}


def load_dataset(name: str, root: Path, use_boxes: bool = False) -> Splits:
    """Read a data set.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.
    root : Path
        Its folder, or the manifest file.
    use_boxes : bool
        Use of each image what is in its bounding box. The paper uses whole images, as is done by default.

    Raises
    ------
    ConfigError
        If there is no data set of that name.
    DataError
        If the folder does not hold it, or it has no boxes to use; the message says what was expected.
    """
    if name not in DATASETS:
        raise ConfigError(f"data set {name!r} is unknown; choose one of {', '.join(DATASETS)}.")
    if name != "glyphs" and not root.exists():  # glyphs are drawn
        raise DataError(f"{root}: no such {'file' if name == 'manifest' else 'folder'}; expected the data set {name}.")
    splits = DATASETS[name](root)
    if not use_boxes:
        return Splits(splits.train.without_boxes(), splits.test.without_boxes(), splits.note)
    if splits.train.boxes is None:
        raise DataError(f"{root}: has no bounding boxes; leave out --use-boxes.")
    return splits
