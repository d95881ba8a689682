"""Read fixed-size lists in parquet files with any version of pyarrow.

pyarrow up to 25 cannot read a column of fixed-size lists if any is null (apache/arrow issue 35692). Parquet stores them
like other lists, so they are read as plain lists and converted.
"""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def has_fixed_lists(schema: pa.Schema) -> bool:
    """Whether any column contains fixed-size lists."""
    return any(_plain(field.type) != field.type for field in schema)


def without_sizes(metadata: pq.FileMetaData) -> pq.FileMetaData | None:
    """Replace fixed-size lists by plain lists in a file's metadata. None if another library named their elements."""
    schema = metadata.schema.to_arrow_schema()
    plain = pa.schema([_plain_field(field) for field in schema])
    for compliant in (True, False):  # the name of a list's elements in the file: always "element", or as in Arrow
        rewritten = io.BytesIO()
        try:
            pq.write_metadata(plain, rewritten, [metadata], use_compliant_nested_type=compliant)
        except (RuntimeError, OSError, pa.ArrowException):  # the columns in the file have other names
            continue
        rewritten.seek(0)
        return pq.read_metadata(rewritten)
    return None


def restored(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Convert an array read by `without_sizes` to its original type. Raises `ValueError` if a size is wrong."""
    if array.type == kind or _plain(kind) == kind:
        return array
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, restored(array, kind.storage_type))
    if pa.types.is_fixed_size_list(kind):
        return _with_size(array, kind)
    if pa.types.is_struct(kind):
        fields = [restored(array.field(number), kind.field(number).type) for number in range(kind.num_fields)]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=array.is_null())
    child = _entries(array, kind) if pa.types.is_map(kind) else restored(array.values, kind.value_type)
    return pa.Array.from_buffers(
        kind, len(array), array.buffers()[:2], null_count=array.null_count, offset=array.offset, children=[child]
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    """Replace fixed-size lists by plain lists in a type."""
    if isinstance(kind, pa.BaseExtensionType):
        storage = _plain(kind.storage_type)
        return kind if storage == kind.storage_type else storage
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(kind.field(number)) for number in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field), kind.keys_sorted)
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain(field.type))


def _with_size(lists: pa.Array, kind: pa.DataType) -> pa.Array:
    valid = np.asarray(lists.is_valid())  # (n,)
    offsets = np.asarray(lists.offsets)  # (n + 1,)
    if (np.diff(offsets)[valid] != kind.list_size).any():
        raise ValueError(f"a list does not have the {kind.list_size} elements of its type")
    # (n, size): positions of the elements; a null list has none and is masked.
    chosen = offsets[:-1, None] + np.arange(kind.list_size)
    elements = restored(lists.values, kind.value_type)
    taken = elements.take(pa.array(chosen.ravel(), mask=np.repeat(~valid, kind.list_size)))
    validity = None if valid.all() else pa.array(valid).buffers()[1]
    return pa.Array.from_buffers(kind, len(lists), [validity], null_count=int((~valid).sum()), children=[taken])


def _entries(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the keys and items of all maps, (m,)."""
    keys, items = restored(array.keys, kind.key_type), restored(array.items, kind.item_type)
    return pa.StructArray.from_arrays([keys, items], fields=[kind.key_field, kind.item_field])
