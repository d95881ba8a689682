"""Parts in the layout of clip-retrieval: embeddings in ``img_emb``, their ids, paths and labels in ``metadata``.

autofaiss and embedding-reader read such a folder directly. A matrix cannot have missing rows, so images without an
embedding are only in ``failed``, with their errors.
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
from serve_cli.embeddings.checked_parquet import CheckedParquet
from serve_cli.embeddings.part_columns import MANIFEST, schema
from serve_cli.embeddings.part_formats import NPY
from serve_cli.embeddings.parts import Part, PartRows, require_scales
from serve_cli.embeddings.vectors import DTYPES, from_stored, to_stored
from serve_cli.sources.source import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard
    from serve_cli.sources.image_row import EmbeddedRows, ImageRow


FAILED = pa.schema([pa.field("id", pa.string()), pa.field("image_path", pa.string()), pa.field("error", pa.string())])


def npy_paths(folder: Path, number: int) -> tuple[Path, Path, Path]:
    """Return the paths of a part's embeddings, metadata and failures."""
    return (
        folder / NPY.part_name(number),
        folder / "metadata" / f"metadata_{number:05d}.parquet",
        folder / "failed" / f"failed_{number:05d}.parquet",
    )


def metadata_columns(dtype: str) -> list[pa.Field]:
    """List the first columns of the files in ``metadata``."""
    scale = [pa.field("scale", pa.float32())] if dtype == "int8" else []
    return [
        pa.field("id", pa.string()),
        pa.field("image_path", pa.string()),
        pa.field("label", pa.string()),
        *scale,
    ]


class NpyPartWriter:
    """Writes the parts of a folder; see `serve_cli.embeddings.parts.PartWriter`."""

    def __init__(self, folder: Path, card: ModelCard, dtype: str, extra: pa.Schema | None) -> None:
        self._folder, self._dim, self._dtype = folder, card.dim, dtype
        own = metadata_columns(dtype)
        self._schema = schema(own, extra, card)
        self._extra = self._schema.names[len(own) :]

    def write(self, number: int, groups: Iterable[EmbeddedRows], claim: Callable[[], None]) -> Part:
        """Write a part's three files. The one with the embeddings is put in place last."""
        paths = npy_paths(self._folder, number)
        for path in paths:
            path.parent.mkdir(exist_ok=True)
        numbers, metadata, failures = paths
        with replaced_file(numbers) as first, replaced_file(metadata) as second, replaced_file(failures) as third:
            good, failed = self._fill(groups, first, second, third)
            claim()
        # The files were put in place from the last to the first: a part counts once its embeddings exist.
        return Part(NPY.part_name(number), good + failed, failed)

    def finished(self, number: int) -> Part | None:
        """Return a part that is complete and undamaged, else None."""
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
        """Write all groups. Return the number of rows with and without an embedding."""
        good = failed = 0
        with (
            numbers.open("wb") as file,
            pq.ParquetWriter(metadata, self._schema, compression="zstd", write_page_checksum=True) as known,
            pq.ParquetWriter(failures, FAILED, compression="zstd", write_page_checksum=True) as missing,
        ):
            file.write(self._header(0))  # its length does not depend on the number of rows
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
        """Return a header in NumPy's format, which is padded so that it can be rewritten with more rows."""
        text = io.BytesIO()
        write: Any = np.lib.format.write_array_header_1_0  # it has no type annotations
        kind = np.dtype(DTYPES[self._dtype]).newbyteorder("<").str
        write(text, {"descr": kind, "fortran_order": False, "shape": (rows, self._dim)})
        return text.getvalue()


def _failures(group: EmbeddedRows, failed: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Table:
    chosen = [(group.rows[number], group.errors[number]) for number in np.flatnonzero(failed)]
    values = [[row.id for row, _ in chosen], [as_text(row.path) for row, _ in chosen], [error for _, error in chosen]]
    return pa.Table.from_arrays([pa.array(column, pa.string()) for column in values], schema=FAILED)


def _as_part(table: pa.Table, carried: Sequence[str]) -> pa.Table:
    """Return the columns of `PartRows` from a file of ``metadata`` or ``failed``, null where a file has none."""
    present = {"id": table["id"], "path": table["image_path"]} | {
        name: table[name] if name in table.column_names else pa.nulls(len(table), pa.string())
        for name in ("label", "error")
    }
    return pa.table(present | {name: table[name] for name in carried})


MAGIC = b"\x93NUMPY\x01\x00"  # version 1.0; later versions are for longer or non-ASCII headers
HEADER = re.compile(
    rb"\{'descr': '(<f2|<f4|<f8|\|i1|\|u1)', 'fortran_order': (True|False), 'shape': \((\d{1,18}), (\d{1,18})\), \} *\n"
)


def open_numbers(path: Path) -> NDArray[Any]:
    """Map a matrix that `numpy.save` wrote into memory.

    `numpy.load` would accept archives and arrays of any type and shape, and evaluates the header.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file, or its size does not match its header.
    """
    if not path.is_file():  # opening a pipe would block
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
            raise ValueError(f"its header says {shape} of {dtype}, {expected:,} bytes, but it has {size:,}")
        return np.memmap(file, dtype, "r", offset=10 + length, shape=shape, order="F" if header[2] == b"True" else "C")


class NpyPartReader:
    """Reads the parts of a folder; see `serve_cli.embeddings.parts.PartReader`.

    Images without an embedding come last in their part, with NaN and their error. This layout does not store their
    labels.
    """

    def __init__(self, folder: Path, card: ModelCard, dtype: str) -> None:
        self._folder, self._card, self._dtype = folder, card, dtype

    def check_files(self, count: int) -> None:
        """Do nothing: `check` opens all files."""

    def check(self, number: int, rows: int) -> None:
        """Raise `RunError` unless a part's three files are undamaged and have ``rows`` rows together."""
        known, failed = self._tables(number)
        numbers = self._numbers(number, known.count())
        if (present := len(numbers) + failed.count()) != rows:
            path = npy_paths(self._folder, number)[0]
            raise RunError(f"{path}: has {present} rows, with failed ones, but {MANIFEST} says {rows}; embed again.")

    def carried(self, number: int) -> pa.Schema:
        """Return the carried columns of a part. Raises as `check` does."""
        return self._tables(number)[0].carried()

    def read(self, number: int, rows: int, carried: pa.Schema | None = None) -> Iterator[PartRows]:
        """Read a part by row group, failed rows last. Raises as `check` does."""
        self.check(number, rows)
        known, failed = self._tables(number)
        numbers, done = self._numbers(number, known.count()), 0
        for table in known.tables(carried):
            scale = np.asarray(table["scale"]) if self._dtype == "int8" else None  # NaN for null
            if scale is not None:
                require_scales(scale, npy_paths(self._folder, number)[1])
            embedding = from_stored(numbers[done : done + len(table)], scale)
            done += len(table)
            yield PartRows(_as_part(table, [field.name for field in carried or ()]), embedding)
        for table in failed.tables():
            missing = np.full((len(table), self._card.dim), np.nan, np.float32)
            yield PartRows(_as_part(table, []), missing)

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
