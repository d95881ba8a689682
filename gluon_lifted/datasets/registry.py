"""Data sets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.datasets.cars196 import load_cars196
from gluon_lifted.datasets.folder import load_folder
from gluon_lifted.datasets.glyphs import load_glyphs
from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gluon_lifted.datasets.base import Splits

DATASETS: dict[str, Callable[[Path], Splits]] = {
    "folder": load_folder,
    "cars196": load_cars196,
    "glyphs": load_glyphs,
}


def load_dataset(name: str, root: Path) -> Splits:
    """Read a data set.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.
    root : Path
        Its folder.

    Raises
    ------
    ConfigError
        If there is no data set of that name.
    DataError
        If the folder does not hold it; the message says what was expected.
    """
    if name not in DATASETS:
        raise ConfigError(f"data set {name!r} is unknown; choose one of {', '.join(DATASETS)}.")
    return DATASETS[name](root)
