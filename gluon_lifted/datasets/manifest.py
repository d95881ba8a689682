"""A manifest: a CSV or parquet table that lists images with their labels.

Columns: ``path`` (relative to the manifest's folder, or absolute) and ``label``; optionally ``split`` (``train`` or
``test``) and the box ``x1``, ``y1``, ``x2``, ``y2`` (left, top, right, bottom edges in pixels of the upright image: the
whole image is 0, 0, width, height). A box may be empty. Other columns are ignored. Without a column ``split`` the
first half of the labels, sorted as text, is for training and the other half for testing.
"""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

from gluon_lifted.datasets.annotations import (
    Annotation,
    checked_box,
    four_numbers,
    tables,
)
from gluon_lifted.errors import DataError
from gluon_lifted.parquet.page_claims import read_groups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gluon_lifted.datasets.image_table import Splits
    from gluon_lifted.images.framing import Box

NEEDED, SPLIT, BOX = ("path", "label"), "split", ("x1", "y1", "x2", "y2")
MAX_ROWS = 10_000_000
MAX_BYTES = 4 << 30  # of its text, uncompressed
REMEDY = "Correct the manifest, or add the images"

Row = dict[str, Any]


def load_manifest(path: Path) -> Splits:
    """Read a manifest. Raises `DataError` that names the invalid row, counted from 1 without the header."""
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: not a manifest; expected a .csv or .parquet file.")
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a table with the columns {', '.join(NEEDED)}.")
    rows: list[Annotation] = []
    seen: dict[tuple[Path, Box | None], int] = {}
    for number, row in enumerate(read(path), start=1):
        where = f"{path}, row {number}"
        if number > MAX_ROWS:
            raise DataError(f"{where}: a manifest can have {MAX_ROWS:,} rows at most.")
        rows.append(_annotation(row, path.parent, where))
        first = seen.setdefault((rows[-1].path, rows[-1].box), number)
        if first != number:
            raise DataError(f"{where}: the same image as in row {first}. Remove one of them.")
    splits = tables(_split_by_label(rows, path), REMEDY)
    if not len(splits.test):
        raise DataError(f"{path}: has no test images. Set 'split' to 'test' in some rows.")
    return splits


def _split_by_label(rows: list[Annotation], path: Path) -> list[Annotation]:
    """Assign the first half of the labels to training if there is no column ``split``."""
    if not rows or rows[0].split:
        return rows
    labels = sorted({row.name for row in rows})
    if len(labels) < 2:
        raise DataError(
            f"{path}: has only one label, {labels[0]!r:.100}. At least 2 are needed, half of them for testing. Add "
            "images of another label, or a column 'split'."
        )
    training = set(labels[: len(labels) // 2])
    return [row._replace(split="train" if row.name in training else "test") for row in rows]


def _annotation(row: Row, folder: Path, where: str) -> Annotation:
    image, label = _cell(row, "path"), _cell(row, "label")
    if not isinstance(image, str):
        raise DataError(f"{where}: 'path' is {image!r:.100}; expected the path of an image.")
    if not isinstance(label, str | int):
        raise DataError(f"{where}: 'label' is {label!r:.100}; expected text or a whole number.")
    split = ""
    if SPLIT in row:
        split = _cell(row, SPLIT)
        if split not in ("train", "test"):
            raise DataError(f"{where}: 'split' is {split!r:.100}; expected 'train' or 'test'.")
    edges = [_cell(row, name) for name in BOX]
    box = None if edges == [None] * 4 else checked_box(four_numbers(edges, where), where)
    return Annotation(folder / image, str(label), split, box)


def _cell(row: Row, column: str) -> Any:
    """Return the value of a cell, stripped if it is text; None if it is empty or NaN."""
    value = row.get(column)
    if isinstance(value, str):
        value = value.strip()
    missing = value == "" or (isinstance(value, float) and math.isnan(value))
    return None if missing else value


def _read_csv(path: Path) -> Iterator[Row]:
    _require_size(path.stat().st_size, path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            _require_columns(list(reader.fieldnames or ()), path)
            for row in reader:
                if None in row:
                    raise DataError(f"{path}, line {reader.line_num}: has more cells than the header.")
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not readable as CSV ({error}). Save it as UTF-8 text with commas.") from None


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            read_groups(file, columns=0)  # pyarrow crashes on some damaged footers
        with path.open("rb") as file, pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False) as table:
            columns = table.schema_arrow.names
            _require_columns(columns, path)
            groups = [table.metadata.row_group(index) for index in range(table.metadata.num_row_groups)]
            _require_size(sum(group.total_byte_size for group in groups), path)
            wanted = [name for name in (*NEEDED, SPLIT, *BOX) if name in columns]
            for batch in table.iter_batches(columns=wanted, use_threads=False):
                yield from batch.to_pylist()
    except (OSError, ValueError, RuntimeError, pa.ArrowException) as error:  # including C++ exceptions
        raise DataError(f"{path}: not readable as parquet ({error!s:.200}). Write it again.") from None


def _require_columns(columns: list[str], path: Path) -> None:
    boxed = any(name in columns for name in BOX)
    for name in (*NEEDED, *(BOX if boxed else ())):
        if name not in columns:
            raise DataError(f"{path}: has no column {name!r}, only {', '.join(columns)!r:.200}.")
    twice = [name for name in (*NEEDED, SPLIT, *BOX) if columns.count(name) > 1]
    if twice:
        raise DataError(f"{path}: has the column {twice[0]!r} more than once. Remove or rename one.")


def _require_size(size: int, path: Path) -> None:
    if size > MAX_BYTES:
        raise DataError(f"{path}: has {size:,} bytes; the limit is {MAX_BYTES:,}.")
