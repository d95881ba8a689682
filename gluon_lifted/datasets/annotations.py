"""Read annotation files of the official data sets: untrusted text -> validated rows -> tables."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.datasets.image_table import ImageTable, Splits
from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gluon_lifted.images.framing import Box

MAX_EDGE = 1 << 24  # pixels; float32 represents whole numbers exactly up to here
MAX_BYTES = 64 << 20  # of an annotation file; the longest official list (60,502 images) has about 3 MB


class Line(NamedTuple):
    """The text of a line and, for messages, its file and line number."""

    where: str
    text: str


class Annotation(NamedTuple):
    """An image: its file, class name, split (``"train"`` or ``"test"``) and the box to use."""

    path: Path
    name: str
    split: str
    box: Box | None = None


def require_file(path: Path, remedy: str) -> None:
    """Raise `DataError` if a file is missing or too large for an annotation file."""
    if not path.is_file():
        raise DataError(f"{path}: no such file. {remedy}.")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: too large for an annotation file ({path.stat().st_size:,} bytes). {remedy}.")


def read_lines(path: Path, remedy: str) -> Iterator[Line]:
    """Yield the stripped, non-empty lines of a UTF-8 text file. Raises `DataError`."""
    require_file(path, remedy)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as UTF-8 text ({error}). {remedy}.") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if stripped := line.strip():
            yield Line(f"{path}, line {number}", stripped)


def whole_number(text: str, where: str) -> int:
    """Parse a non-negative integer of up to 9 digits. Raises `DataError` for other text."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise DataError(f"{where}: expected a whole number, found {text!r:.100}.")
    return int(text)


def four_numbers(cells: Sequence[Any], where: str) -> Box:
    """Parse the edges of a box from numbers or text. Raises `DataError`."""
    try:
        left, top, right, bottom = map(float, cells)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: expected a box of four numbers, found {list(cells)!r:.200}.") from None
    return left, top, right, bottom


def checked_box(box: Box, where: str) -> Box:
    """Return the box. Raises `DataError` if it is empty or not finite."""
    left, top, right, bottom = box
    if not (-MAX_EDGE < left < right < MAX_EDGE and -MAX_EDGE < top < bottom < MAX_EDGE):  # False for NaN
        raise DataError(
            f"{where}: a box from ({left:g}, {top:g}) to ({right:g}, {bottom:g}) is empty or out of range; "
            "expected left < right and top < bottom, in pixels."
        )
    return box


def path_inside(root: Path, relative: str, where: str) -> Path:
    """Join ``root`` and the path of an image. Raises `DataError` if the result is outside ``root``."""
    parts = relative.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or ":" in parts[0] or "\0" in relative:
        raise DataError(f"{where}: {relative!r:.200} is not a path inside the data set.")
    return root / relative


def require_images(paths: Sequence[Path], remedy: str) -> None:
    """Raise `DataError` if listed images are missing."""
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise DataError(
            f"{missing[0]}: listed in the annotations, but missing. {len(missing):,} of {len(paths):,} images are "
            f"missing. {remedy}."
        )


def tables(rows: Sequence[Annotation], remedy: str) -> Splits:
    """Build both tables, with boxes if any image has one. Raises `DataError` if images are missing."""
    require_images([row.path for row in rows], remedy)
    boxed = any(row.box is not None for row in rows)
    train, test = (_table([row for row in rows if row.split == split], boxed=boxed) for split in ("train", "test"))
    return Splits(train, test)


def _table(rows: Sequence[Annotation], *, boxed: bool) -> ImageTable:
    boxes = None
    if boxed:
        boxes = np.array([row.box or [math.nan] * 4 for row in rows], np.float32).reshape(len(rows), 4)
    return ImageTable.from_names([row.path for row in rows], [row.name for row in rows], boxes)
