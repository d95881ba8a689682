"""The annotation files of the official data sets: text that nobody vouches for -> checked rows -> tables."""

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

MAX_EDGE = 1 << 24  # pixels; float32 holds whole numbers up to here
MAX_BYTES = 64 << 20  # of one annotation file; the longest official list, of 60,502 images, has about 3 MB


class Line(NamedTuple):
    """A line's text and, for messages, the place it is from."""

    where: str
    text: str


class Annotation(NamedTuple):
    """One image: its file, the name of its class, ``"train"`` or ``"test"``, and what to use of it."""

    path: Path
    name: str
    split: str
    box: Box | None = None


def require_file(path: Path, remedy: str) -> None:
    """Refuse a file that is missing or too large to be an annotation file. Raises `DataError`."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; {remedy}.")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: {path.stat().st_size:,} bytes are no annotation file; {remedy}.")


def read_lines(path: Path, remedy: str) -> Iterator[Line]:
    """The lines of a UTF-8 text file, stripped, without empty ones. Raises `DataError`."""
    require_file(path, remedy)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as UTF-8 text ({error}); {remedy}.") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if stripped := line.strip():
            yield Line(f"{path}, line {number}", stripped)


def whole_number(text: str, where: str) -> int:
    """Parse an id, 0 or larger. Raises `DataError`."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise DataError(f"{where}: expected a whole number, found {text!r:.100}.")
    return int(text)


def four_numbers(cells: Sequence[Any], where: str) -> Box:
    """Parse numbers or their texts. Raises `DataError`."""
    try:
        left, top, right, bottom = map(float, cells)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: a box is four numbers, found {list(cells)!r:.200}.") from None
    return left, top, right, bottom


def checked_box(box: Box, where: str) -> Box:
    """Refuse a box that holds nothing, or is not finite. Raises `DataError`."""
    left, top, right, bottom = box
    if not (-MAX_EDGE < left < right < MAX_EDGE and -MAX_EDGE < top < bottom < MAX_EDGE):  # so if one is NaN
        raise DataError(
            f"{where}: a box from ({left:g}, {top:g}) to ({right:g}, {bottom:g}) is empty or out of range; "
            "left must be below right, and top below bottom."
        )
    return box


def path_inside(root: Path, relative: str, where: str) -> Path:
    """Join an image's path to its data set's folder, which it must not leave. Raises `DataError`."""
    parts = relative.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or ":" in parts[0] or "\0" in relative:
        raise DataError(f"{where}: {relative!r:.200} is no path of an image inside the data set.")
    return root / relative


def require_images(paths: Sequence[Path], remedy: str) -> None:
    """Refuse a copy in which images that are listed are missing. Raises `DataError`."""
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise DataError(
            f"{missing[0]}: listed in the annotations but not there "
            f"({len(missing):,} of {len(paths):,} images are missing); {remedy}."
        )


def tables(rows: Sequence[Annotation], remedy: str) -> Splits:
    """Two tables; they have boxes if any image of either has one. Raises `DataError` if images are missing."""
    require_images([row.path for row in rows], remedy)
    boxed = any(row.box is not None for row in rows)
    train, test = (_table([row for row in rows if row.split == split], boxed) for split in ("train", "test"))
    return Splits(train, test)


def _table(rows: Sequence[Annotation], boxed: bool) -> ImageTable:
    boxes = None
    if boxed:
        boxes = np.array([row.box or [math.nan] * 4 for row in rows], np.float32).reshape(len(rows), 4)
    return ImageTable.from_names([row.path for row in rows], [row.name for row in rows], boxes)
