"""Parts as clip-retrieval lays them out: rows of numbers in ``img_emb``, what they are of in ``metadata``.

autofaiss and embedding-reader take such a folder as it is. A row of numbers cannot be missing: images without an
embedding are in neither, and listed with their errors in ``failed``.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file
from serve_cli.embeddings.arrow_table import carried_column
from serve_cli.embeddings.checked_parquet import CheckedParquet, texts
from serve_cli.embeddings.layout import MANIFEST, schema
from serve_cli.embeddings.part_formats import NPY
from serve_cli.embeddings.parts import Part, PartRows, require_scales
from serve_cli.embeddings.vectors import DTYPES, from_stored, to_stored
from serve_cli.sources.source import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard
    from serve_cli.sources.image_row import EmbeddedRows, ImageRow


FAILED = pa.schema([pa.field("id", pa.string()), pa.field("image_path", pa.string()), pa.field("error", pa.string())])


def npy_paths(folder: Path, number: int) -> tuple[Path, Path, Path]:
    """A part's numbers, what they are of, and its failures."""
    return (
        folder / NPY.part_name(number),
        folder / "metadata" / f"metadata_{number:05d}.parquet",
        folder / "failed" / f"failed_{number:05d}.parquet",
    )


def metadata_columns(dtype: str) -> list[pa.Field]:
    """The first columns of the files in ``metadata``."""
    scale = [pa.field("scale", pa.float32())] if dtype == "int8" else []
    return [
        pa.field("id", pa.string()),
        pa.field("image_path", pa.string()),
        pa.field("label", pa.string()),
        *scale,
    ]


class NpyPartWriter:
    """See `serve_cli.embeddings.parts.PartWriter`."""

    def __init__(self, folder: Path, card: ModelCard, dtype: str, extra: pa.Schema | None) -> None:
        self._folder, self._dim, self._dtype = folder, card.dim, dtype
        own = metadata_columns(dtype)
        self._schema = schema(own, extra, card)
        self._extra = self._schema.names[len(own) :]

    def write(self, number: int, groups: Iterable[EmbeddedRows], claim: Callable[[], None]) -> Part:
        paths = npy_paths(self._folder, number)
        for path in paths:
            path.parent.mkdir(exist_ok=True)
        numbers, metadata, failures = paths
        with replaced_file(numbers) as first, replaced_file(metadata) as second, replaced_file(failures) as third:
            good, failed = self._fill(groups, first, second, third)
            claim()
        # From the last to the first they are in place now: a part counts when its numbers are there.
        return Part(NPY.part_name(number), good + failed, failed)

    def finished(self, number: int) -> Part | None:
        numbers, metadata, failures = npy_paths(self._folder, number)
        try:
            stored = open_numbers(numbers)
            good = CheckedParquet(metadata, metadata_columns(self._dtype)).count()
            failed = CheckedParquet(failures, list(FAILED)).count()
        except (RunError, OSError, ValueError):
            return None
        whole = stored.shape == (good, self._dim) and stored.dtype == DTYPES[self._dtype]
        return Part(NPY.part_name(number), good + failed, failed) if whole else None

    def _fill(self, groups: Iterable[EmbeddedRows], numbers: Path, metadata: Path, failures: Path) -> tuple[int, int]:
        """Returns the rows with an embedding, and those without."""
        good = failed = 0
        with (
            numbers.open("wb") as file,
            pq.ParquetWriter(metadata, self._schema, compression="zstd", write_page_checksum=True) as known,
            pq.ParquetWriter(failures, FAILED, compression="zstd", write_page_checksum=True) as missing,
        ):
            file.write(self._header(0))  # of the same length whatever the number of rows is
            for group in groups:
                kept = np.array([error is None for error in group.errors], bool)
                stored, scale = to_stored(group.embedding[kept], self._dtype)
                np.ascontiguousarray(stored).tofile(file)
                known.write_table(self._table([group.rows[number] for number in np.flatnonzero(kept)], scale))
                missing.write_table(_failures(group, ~kept))
                good, failed = good + int(kept.sum()), failed + int((~kept).sum())
            file.seek(0)
            file.write(self._header(good))
        return good, failed

    def _table(self, rows: list[ImageRow], scale: NDArray[np.float32] | None) -> pa.Table:
        columns: dict[str, Any] = {
            "id": [row.id for row in rows],
            "image_path": [as_text(row.path) for row in rows],
            "label": [row.label for row in rows],
            "scale": scale,
            **{name: carried_column(rows, self._schema.field(name)) for name in self._extra},
        }
        return pa.table({name: columns[name] for name in self._schema.names}, schema=self._schema)

    def _header(self, rows: int) -> bytes:
        """Of NumPy's format. NumPy leaves room for the number of rows to grow, so that it can be written again."""
        text = io.BytesIO()
        write: Any = np.lib.format.write_array_header_1_0  # which has no types
        kind = np.dtype(DTYPES[self._dtype]).newbyteorder("<").str
        write(text, {"descr": kind, "fortran_order": False, "shape": (rows, self._dim)})
        return text.getvalue()


def _failures(group: EmbeddedRows, failed: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Table:
    chosen = [(group.rows[number], group.errors[number]) for number in np.flatnonzero(failed)]
    values = [[row.id for row, _ in chosen], [as_text(row.path) for row, _ in chosen], [error for _, error in chosen]]
    return pa.Table.from_arrays([pa.array(column, pa.string()) for column in values], schema=FAILED)


MAGIC = b"\x93NUMPY\x01\x00"  # version 1.0; others are for headers that are longer or not ASCII
HEADER = re.compile(
    rb"\{'descr': '(<f2|<f4|<f8|\|i1|\|u1)', 'fortran_order': (True|False), 'shape': \((\d{1,18}), (\d{1,18})\), \} *\n"
)


def open_numbers(path: Path) -> NDArray[Any]:
    """A matrix as `numpy.save` writes it, mapped into memory.

    `numpy.load` would take an archive or an array of any type and shape, and evaluates the header.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file, or its size is not what its header says.
    """
    if not path.is_file():  # a pipe would be waited for
        raise FileNotFoundError("no such file")
    with path.open("rb") as file:
        start = file.read(10)
        length = int.from_bytes(start[8:], "little")
        header = HEADER.fullmatch(file.read(length))
        if not start.startswith(MAGIC) or header is None:
            raise ValueError("not a matrix that numpy.save writes")
        dtype, shape = np.dtype(header[1].decode()), (int(header[3]), int(header[4]))
        size, expected = file.seek(0, 2), 10 + length + dtype.itemsize * shape[0] * shape[1]
        if size != expected:
            raise ValueError(f"its header says {shape} of {dtype}, {expected:,} bytes, and it has {size:,}")
        return np.memmap(file, dtype, "r", offset=10 + length, shape=shape, order="F" if header[2] == b"True" else "C")


class NpyPartReader:
    """See `serve_cli.embeddings.parts.PartReader`.

    Images without an embedding come last in their part, with NaN, their error and no label, which this layout does not
    keep.
    """

    def __init__(self, folder: Path, card: ModelCard, dtype: str) -> None:
        self._folder, self._card, self._dtype = folder, card, dtype

    def check_files(self, count: int) -> None:
        """`check` meets all files."""

    def check(self, number: int, rows: int) -> None:
        known, failed = self._tables(number)
        numbers = self._numbers(number, known.count())
        if (present := len(numbers) + failed.count()) != rows:
            path = npy_paths(self._folder, number)[0]
            raise RunError(f"{path}: has {present} rows with its failures and {MANIFEST} says {rows}; embed again.")

    def read(self, number: int, rows: int) -> Iterator[PartRows]:
        self.check(number, rows)
        known, failed = self._tables(number)
        numbers, done = self._numbers(number, known.count()), 0
        for table in known.tables():
            scale = np.asarray(table["scale"]) if self._dtype == "int8" else None  # NaN for null
            if scale is not None:
                require_scales(scale, npy_paths(self._folder, number)[1])
            embedding = from_stored(numbers[done : done + len(table)], scale)
            done += len(table)
            nothing = [None] * len(table)
            yield PartRows(texts(table["id"]), texts(table["image_path"]), texts(table["label"]), nothing, embedding)
        for table in failed.tables():
            yield self._failures(table)

    def _failures(self, table: pa.Table) -> PartRows:
        missing = np.full((len(table), self._card.dim), np.nan, np.float32)
        paths, nothing = texts(table["image_path"]), [None] * len(table)
        return PartRows(texts(table["id"]), paths, nothing, texts(table["error"]), missing)

    def _tables(self, number: int) -> tuple[CheckedParquet, CheckedParquet]:
        _, metadata, failures = npy_paths(self._folder, number)
        return CheckedParquet(metadata, metadata_columns(self._dtype)), CheckedParquet(failures, list(FAILED))

    def _numbers(self, number: int, rows: int) -> NDArray[Any]:
        path, expected = npy_paths(self._folder, number)[0], (rows, self._card.dim)
        try:
            stored = open_numbers(path)
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: cannot be read ({error!s:.200}); embed again.") from None
        if stored.shape != expected or stored.dtype != DTYPES[self._dtype]:
            raise RunError(
                f"{path}: holds {stored.shape} of {stored.dtype}, expected {expected} of {self._dtype}; embed again."
            )
        return stored
