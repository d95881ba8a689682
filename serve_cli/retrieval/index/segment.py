"""A segment of an index, mapped into memory. Its files may be damaged or hostile."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gluon_lifted.errors import RunError
from serve_cli.embeddings.npy_format import open_numbers
from serve_cli.retrieval.index.arrow_blocks import is_compressed
from serve_cli.retrieval.index.exact_search import Block, squared_norms
from serve_cli.retrieval.index.layout import ROWS, VECTORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from serve_cli.retrieval.index.layout import SegmentRecord

BLOCK_ROWS = 1 << 15
OWN_COLUMNS = (("id", pa.string()), ("path", pa.string()), ("label", pa.string()))
STORED_TYPES = (np.dtype("<f4"), np.dtype("<f2"))
# pyarrow's own errors, and Python's for C++ exceptions that pyarrow lets through
READ_ERRORS = (
    *(OSError, ValueError, LookupError, ArithmeticError, TypeError, RuntimeError, MemoryError),
    pa.ArrowException,
)


class Segment:
    """Rows ``first`` to ``first + rows`` of an index.

    Parameters
    ----------
    folder : Path
        The index.
    record : SegmentRecord
        What ``index.json`` says about the segment.
    first : int
        Number of its first row.
    dim : int
        Width D of the vectors.

    Raises
    ------
    RunError
        If a file is damaged, or does not match ``index.json``.
    FileNotFoundError
        If a file is missing: the index may have been switched to a new version.
    """

    def __init__(self, folder: Path, record: SegmentRecord, first: int, dim: int) -> None:
        self.folder, self.record = folder / record.name, record
        self.first, self.rows = first, record.rows
        self.stored = self._open_vectors(dim)
        self._batches, self.schema = self._open_rows()
        self._starts = np.cumsum([0] + [len(batch) for batch in self._batches])
        if self._starts[-1] != self.rows:
            raise self._error(ROWS, f"has {self._starts[-1]:,} rows, expected {self.rows:,}")
        self._validated: set[int] = set()

    @cached_property
    def squares(self) -> NDArray[np.float32]:
        """Squared norms of the vectors, (rows,). Computed once, by exact searches."""
        squares = np.empty(self.rows, np.float32)
        for start in range(0, self.rows, BLOCK_ROWS):
            squares[start : start + BLOCK_ROWS] = squared_norms(self._block(start))
        return squares

    def blocks(self) -> Iterator[Block]:
        """Iterate over all rows."""
        for start in range(0, self.rows, BLOCK_ROWS):
            vectors = self._block(start)
            rows = np.arange(start, start + len(vectors)) + self.first
            yield Block(rows, vectors, self.squares[start : start + BLOCK_ROWS])

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read the vectors of some rows of the segment, (n, D)."""
        return self.stored.take(rows, axis=0).astype(np.float32, copy=False)

    def table(self, rows: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """Read columns of some rows of the segment, in the order of ``rows``. Raises `RunError`."""
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(numbers, kind="stable")
        taken = [pa.table(self._empty(columns))]
        for number in np.unique(numbers):
            wanted = rows[order][numbers[order] == number] - self._starts[number]
            taken.append(pa.table(self._batch(int(number), columns).take(pa.array(wanted))))
        with self._errors(ROWS):
            return pa.concat_tables(taken).take(pa.array(np.argsort(order)))

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Iterate over columns of all rows, and the number of each batch's first row in the index."""
        for number in range(len(self._batches)):
            yield self.first + int(self._starts[number]), self._batch(number, columns)

    def _block(self, start: int) -> NDArray[np.float32]:
        return np.asarray(self.stored[start : start + BLOCK_ROWS], np.float32)

    def _batch(self, number: int, columns: Sequence[str]) -> pa.RecordBatch:
        with self._errors(ROWS):
            if number not in self._validated:
                self._batches[number].validate(full=True)
                self._validated.add(number)
            return self._batches[number].select(list(columns))

    def _empty(self, columns: Sequence[str]) -> dict[str, pa.Array]:
        return {name: pa.array([], self.schema.field(name).type) for name in columns}

    def _open_vectors(self, dim: int) -> NDArray[Any]:
        path = self.folder / VECTORS
        try:
            stored = open_numbers(path)
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise self._error(VECTORS, f"cannot be read ({error!s:.200})") from None
        if stored.shape != (self.rows, dim) or stored.dtype not in STORED_TYPES or not stored.flags.c_contiguous:
            raise self._error(VECTORS, f"holds {stored.shape} of {stored.dtype}, expected {(self.rows, dim)} of float")
        return np.asarray(stored)  # np.memmap's own indexing is slow

    def _open_rows(self) -> tuple[list[pa.RecordBatch], pa.Schema]:
        path = self.folder / ROWS
        if not path.is_file():  # opening a pipe would block
            raise FileNotFoundError(path)
        with self._errors(ROWS):
            file = pa.memory_map(str(path))
            reader = pa.ipc.open_file(file)
            if is_compressed(memoryview(file.read_buffer())):  # a small file could take all memory
                raise self._error(ROWS, "is compressed, which `lifted index` does not write")
            if [(field.name, field.type) for field in reader.schema][: len(OWN_COLUMNS)] != list(OWN_COLUMNS):
                raise self._error(ROWS, "has other columns than `lifted index` writes")
            if len(set(reader.schema.names)) != len(reader.schema.names):
                raise self._error(ROWS, "has two columns of the same name")
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            for batch in batches:
                batch.validate()
            return batches, reader.schema.remove_metadata()

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:  # removed since it was looked for: see `Segment`
            raise
        except READ_ERRORS as error:
            raise self._error(name, f"cannot be read ({error!s:.200})") from None

    def _error(self, name: str, problem: str) -> RunError:
        return RunError(f"{self.folder / name}: {problem}; build the index again.")
