"""Convert embedded rows to an Arrow table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from serve_cli.embeddings.arrow_redaction import column_without_credentials
from serve_cli.embeddings.vectors import to_stored
from serve_cli.sources.image_row import Cell
from serve_cli.sources.source import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_cli.sources.image_row import EmbeddedRows, ImageRow


def to_table(group: EmbeddedRows, columns: pa.Schema, dtype: str) -> pa.Table:
    """Convert rows to a table with a given schema: the columns of `part_columns.own_columns`, and carried columns.

    Parameters
    ----------
    group : EmbeddedRows
        n rows, which become the n rows of the table.
    columns : Schema
        Its ``embedding`` is a list of fixed or variable size. It becomes null in rows with an error.
    dtype : str
        Storage type, a key of `serve_cli.embeddings.vectors.DTYPES`.
    """
    failed = np.array([error is not None for error in group.errors], bool)
    stored, scale = to_stored(np.where(failed[:, None], 0, group.embedding), dtype)
    own: dict[str, Any] = {
        "id": [row.id for row in group.rows],
        "path": [as_text(row.path) for row in group.rows],
        "label": [row.label for row in group.rows],
        "embedding": _lists(stored, failed, columns.field("embedding").type),
        "error": group.errors,
    }
    if scale is not None:
        own["scale"] = pa.array(scale, mask=failed)
    carried = {field.name: carried_column(group.rows, field) for field in columns if field.name not in own}
    values = own | carried
    return pa.table({name: values[name] for name in columns.names}, schema=columns)


def carried_column(rows: Sequence[ImageRow], field: pa.Field) -> pa.ChunkedArray:
    """Build a carried column of some rows, without credentials in its URLs.

    Arrow values are sliced from their columns without a conversion.
    """
    values = [row.extra[field.name] for row in rows]
    if not all(isinstance(value, Cell) for value in values):
        return pa.chunked_array([pa.array(values, field.type)])
    stretches: list[list[Any]] = []  # column, first, end
    for value in values:
        if stretches and stretches[-1][0] is value.column and stretches[-1][2] == value.index:
            stretches[-1][2] += 1
        else:
            stretches.append([value.column, value.index, value.index + 1])
    slices = [column.slice(first, end - first) for column, first, end in stretches]
    return column_without_credentials(pa.chunked_array(slices, field.type))


def _lists(numbers: NDArray[Any], failed: NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    """Convert (n, D) numbers to n lists, null where ``failed``."""
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), type=kind, mask=pa.array(failed))
    offsets = np.concatenate([[0], np.cumsum(np.where(failed, 0, numbers.shape[1]))]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(numbers[~failed].ravel()), type=kind, mask=pa.array(failed)
    )
