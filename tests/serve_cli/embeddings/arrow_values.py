"""Arrow arrays of any type, for hypothesis, and what they hold, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

NUMBERS = {
    **{
        getattr(pa, name)(): name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    **{pa.float16(): "uint16", pa.float32(): "uint32", pa.float64(): "uint64", pa.date32(): "int32"},
    **{pa.time32("ms"): "int32", pa.time64("us"): "int64", pa.time64("ns"): "int64"},
    **{pa.timestamp(unit): "int64" for unit in ("ms", "us", "ns")},
    **{pa.timestamp("us", "Europe/Berlin"): "int64", pa.timestamp("ns", "UTC"): "int64"},
    **{pa.duration(unit): "int64" for unit in ("s", "ms", "us", "ns")},
}
BYTES = [pa.string(), pa.binary(), pa.large_string(), pa.large_binary()]


def bits(array: pa.Array, index: int) -> Any:
    """One value as numbers, bytes, lists and tuples; None if it is null."""
    kind, found = array.type, array[index]
    if not found.is_valid:
        value: Any = None
    elif pa.types.is_dictionary(kind):
        value = bits(array.dictionary, array.indices[index].as_py())
    elif pa.types.is_struct(kind):
        value = tuple(bits(array.field(number), index) for number in range(kind.num_fields))
    elif pa.types.is_nested(kind):  # a map is a list of pairs
        value = [bits(found.values, number) for number in range(len(found.values))]
    elif kind in NUMBERS:
        value = array.slice(index, 1).view(getattr(pa, NUMBERS[kind])())[0].as_py()
    elif isinstance(found, pa.BinaryScalar):
        value = bytes(found.as_buffer())
    else:
        value = found.as_py()
    return value


@st.composite
def arrays(draw: st.DrawFn, size: int, depth: int = 2) -> pa.Array:
    """An array of ``size`` values of a random type, some of them null."""
    null = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool)  # (size,)
    nested = ["list", "large", "map", "sized", "struct"]
    kind = draw(st.sampled_from(["number", "bytes", "other", "dictionary", *(nested if depth else [])]))
    if kind in nested:
        return _nested(draw, kind, null, depth)
    if kind == "number":
        return _numbers(draw, draw(st.sampled_from(sorted(NUMBERS, key=str))), null)
    if kind == "other":
        return _other(draw, null)
    values = _masked(draw(st.lists(st.binary(max_size=6), min_size=size, max_size=size)), null)
    if kind == "dictionary":
        return pa.array([None if one is None else one.hex() for one in values], pa.string()).dictionary_encode()
    wanted = draw(st.sampled_from(BYTES))
    plain = pa.array(values, pa.large_binary() if "large" in str(wanted) else pa.binary())  # not always UTF-8
    return pa.Array.from_buffers(wanted, size, plain.buffers(), plain.null_count)


def _other(draw: st.DrawFn, null: np.ndarray) -> pa.Array:
    values = {
        pa.bool_(): st.booleans(),
        pa.decimal128(20, 3): st.decimals(-(10**15), 10**15, places=3, allow_nan=False),
        pa.decimal256(50, 3): st.decimals(-(10**15), 10**15, places=3, allow_nan=False),
        pa.binary(3): st.binary(min_size=3, max_size=3),
        pa.null(): st.none(),
    }
    kind = draw(st.sampled_from(list(values)))
    return pa.array(_masked(draw(st.lists(values[kind], min_size=len(null), max_size=len(null))), null), kind)


def _masked(values: list[Any], null: np.ndarray) -> list[Any]:
    return [None if gone else value for value, gone in zip(values, null, strict=True)]


def _numbers(draw: st.DrawFn, kind: pa.DataType, null: np.ndarray) -> pa.Array:
    """Any bits at all: NaN with payloads, -0.0, dates beyond the calendar's end."""
    stored = np.dtype(NUMBERS[kind])
    most = np.iinfo(stored)
    times = {pa.time32("ms"): 86_399_999, pa.time64("us"): 86_399_999_999, pa.time64("ns"): 86_399_999_999_999}
    least, most = (0, times[kind]) if kind in times else (int(most.min), int(most.max))
    numbers = st.one_of(st.integers(least, most), st.sampled_from([least, most]))
    values = draw(st.lists(numbers, min_size=len(null), max_size=len(null)))
    return pa.array(np.array(values, stored), mask=null).view(kind)


def _nested(draw: st.DrawFn, kind: str, null: np.ndarray, depth: int) -> pa.Array:
    size = len(null)
    validity = pa.array(~null).buffers()[1]
    if kind == "struct":
        fields = [draw(arrays(size, depth - 1)) for _ in range(draw(st.integers(1, 2)))]
        return pa.StructArray.from_arrays(fields, [f"f{number}" for number in range(len(fields))], mask=pa.array(null))
    if kind == "sized":
        each = draw(st.integers(1, 3))
        child = draw(arrays(size * each, depth - 1))
        return pa.Array.from_buffers(pa.list_(child.type, each), size, [validity], int(null.sum()), 0, [child])
    lengths = np.array(draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)), int)
    lengths[null] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)])  # (size + 1,)
    total = int(offsets[-1])
    if kind == "map":
        keys = pa.array([f"k{number}" for number in range(total)], pa.string())
        items = draw(arrays(total, depth - 1))
        entries = pa.StructArray.from_arrays(
            [keys, items], fields=[pa.field("key", pa.string(), False), pa.field("value", items.type)]
        )
        buffers = [validity, pa.py_buffer(offsets.astype(np.int32))]
        return pa.Array.from_buffers(pa.map_(pa.string(), items.type), size, buffers, int(null.sum()), 0, [entries])
    child = draw(arrays(total, depth - 1))
    large = kind == "large"
    wanted = pa.large_list(child.type) if large else pa.list_(child.type)
    buffers = [validity, pa.py_buffer(offsets.astype(np.int64 if large else np.int32))]
    return pa.Array.from_buffers(wanted, size, buffers, int(null.sum()), 0, [child])
