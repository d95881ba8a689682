"""Encode whole batches in the binary format of COPY, without a Python loop over rows.

See "Binary Format" in PostgreSQL's documentation of COPY. The vector comes first in each row, so that the part of fixed
size is contiguous, and Arrow appends the texts.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gluon_lifted.errors import DataError
from serve_cli.retrieval.load.targets.postgres.types import fixed, with_lengths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from serve_cli.choices import Dtype
    from serve_cli.retrieval.load.targets.postgres.types import ColumnType

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)  # signature, flags, length of an extension
TRAILER = struct.pack(">h", -1)
CHUNK_BYTES = 64 << 20  # offsets of Arrow's binary arrays have 31 bits
NUMBERS: dict[Dtype, str] = {"float32": ">f4", "float16": ">f2"}


def copy_stream(
    table: pa.Table, types: Sequence[ColumnType], embedding: NDArray[np.float32], dtype: Dtype
) -> Iterator[bytes | memoryview]:
    """Yield the stream of a COPY whose columns are the vector, then those of the table.

    Parameters
    ----------
    table : Table
        n rows.
    types : sequence of ColumnType
        One for each column of the table.
    embedding : ndarray, float32, (n, D)
        Finite; in the range of ``dtype``.
    dtype : {"float32", "float16"}
        For a column of type ``vector`` or ``halfvec``.
    """
    row_bytes = table.nbytes // max(len(table), 1) + embedding.shape[1] * np.dtype(NUMBERS[dtype]).itemsize
    step = max(CHUNK_BYTES // max(row_bytes, 1), 1)
    yield HEADER
    for start in range(0, len(table), step):
        yield _rows(table.slice(start, step), types, embedding[start : start + step], dtype)
    yield TRAILER


def _rows(
    table: pa.Table, types: Sequence[ColumnType], embedding: NDArray[np.float32], dtype: Dtype
) -> bytes | memoryview:
    pieces = [_vectors(embedding, NUMBERS[dtype], 1 + len(types))]
    for name, column, kind in zip(table.column_names, table.columns, types, strict=True):
        pieces.append(_values(name, column, kind))
    rows = pc.binary_join_element_wise(*pieces, b"")
    return memoryview(rows.buffers()[2])  # the values of all rows, one after another


def _values(name: str, column: pa.ChunkedArray, kind: ColumnType) -> pa.Array:
    """Encode a column. Raises `DataError` if a value does not fit, e.g. a number beyond the range of bigint."""
    values = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    try:
        return with_lengths(kind.encode(values))
    except (DataError, pa.ArrowInvalid) as error:
        raise DataError(f"the column {name!r:.100} cannot be stored as {kind.sql}: {error}") from None


def _vectors(embedding: NDArray[np.float32], number: str, fields: int) -> pa.Array:
    """Encode the number of fields and the vector of each row: its length, its dimension, 0, and its numbers."""
    rows, dim = embedding.shape
    layout = np.dtype([("fields", ">i2"), ("length", ">i4"), ("dim", ">i2"), ("zero", ">i2"), ("numbers", number, dim)])
    heads = np.zeros(rows, layout)
    heads["fields"], heads["length"], heads["dim"] = fields, 4 + dim * np.dtype(number).itemsize, dim
    heads["numbers"] = embedding
    return fixed(pa.nulls(0), heads)
