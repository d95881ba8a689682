"""Read the initializers of an ``.onnx`` file, a protobuf message ``ModelProto``: only the fields that hold weights.

Field numbers, from ONNX's ``onnx/onnx.proto``::

    ModelProto    ir_version = 1, graph = 7
    GraphProto    initializer = 5
    TensorProto   dims = 1, data_type = 2, float_data = 4, name = 8, raw_data = 9, double_data = 10,
                  external_data = 13, data_location = 14

The `onnx` package is not needed. All other fields are skipped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.cursor import Cursor
from gluon_lifted.errors import DataError
from gluon_lifted.networks.pretrained.protobuf import fields, integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONNX_START = b"\x08"  # ModelProto's first field, ir_version
GRAPH, INITIALIZER = 7, 5
DIMS, DATA_TYPE, FLOAT_DATA, NAME, RAW_DATA, DOUBLE_DATA, EXTERNAL_DATA, DATA_LOCATION = 1, 2, 4, 8, 9, 10, 13, 14
DTYPES = {1: "<f4", 2: "|u1", 3: "|i1", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}  # TensorProto.DataType
DTYPE_OF = {FLOAT_DATA: np.dtype("<f4"), DOUBLE_DATA: np.dtype("<f8")}
MAX_AXES = 32  # NumPy's own limit until version 2
MAX_INITIALIZERS = 100_000
MAX_NAME_BYTES = 4000


def parse_onnx(content: memoryview, where: str) -> dict[str, NDArray[Any]]:
    """Read the initializers of an ``.onnx`` file.

    Parameters
    ----------
    content : memoryview
        Content of the file. The arrays are views of it.
    where : str
        Name of the file, for messages.

    Returns
    -------
    dict
        Name of the initializer -> array. Types without an equivalent in NumPy, initializers whose numbers are stored
        as a list of integers, and empty ones are left out: none are weights.

    Raises
    ------
    DataError
        If the content is not such a protobuf message, is truncated, keeps data in another file, is quantized, or a
        tensor's size does not match its shape.
    """
    tensors: dict[str, NDArray[Any]] = {}
    for number, graph in fields(Cursor(content, where)):
        if number != GRAPH or not isinstance(graph, memoryview):
            continue
        for part, message in fields(Cursor(graph, where)):
            if part != INITIALIZER or not isinstance(message, memoryview):
                continue
            name, array = _initializer(Cursor(message, where))
            if name in tensors or len(tensors) == MAX_INITIALIZERS:
                raise Cursor(content, where).damaged(
                    f"two initializers are named {name!r:.100}, or there are more than {MAX_INITIALIZERS}"
                )
            if array is not None:
                tensors[name] = array
    return tensors


def _initializer(cursor: Cursor) -> tuple[str, NDArray[Any] | None]:
    name, kind = "", 0
    dims: list[int | memoryview] = []
    data: dict[int, memoryview] = {}
    for number, value in fields(cursor):
        if number == NAME and isinstance(value, memoryview):
            if len(value) > MAX_NAME_BYTES:
                raise cursor.damaged(f"an initializer's name has {len(value):,} bytes, more than {MAX_NAME_BYTES}")
            name = Cursor(value, cursor.where).text(len(value), "an initializer's name")
        elif number == DATA_TYPE and isinstance(value, int):
            kind = value
        elif number == DIMS and len(dims) <= MAX_AXES:
            dims.append(value)
        elif number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0):
            raise DataError(
                f"{cursor.where}: initializer {name!r:.100} is in another file. Save the network as a single file."
            )
        elif number in (RAW_DATA, FLOAT_DATA, DOUBLE_DATA) and isinstance(value, memoryview):
            data[number] = value
    return name, _array(cursor, name, kind, integers(dims, MAX_AXES, cursor.where), data)


def _array(cursor: Cursor, name: str, kind: int, shape: list[int], data: dict[int, memoryview]) -> NDArray[Any] | None:
    what = f"initializer {name!r:.100}"
    dtype = np.dtype(DTYPES[kind]) if kind in DTYPES else None
    if dtype is None or len(data) != 1 or 0 in shape:
        return None
    if dtype.itemsize == 1 and math.prod(shape) > 1:
        raise DataError(f"{cursor.where}: {what} is quantized to 8 bits. Give the network in float32.")
    ((field, content),) = data.items()
    if field != RAW_DATA and dtype != DTYPE_OF[field]:
        raise cursor.damaged(f"{what} has the type {dtype}, but numbers of type {DTYPE_OF[field]}")
    if len(shape) > MAX_AXES or math.prod(shape) * dtype.itemsize != len(content):
        raise cursor.damaged(f"{what} has {len(content):,} bytes, but its shape is {shape!s:.100} of {dtype}")
    return np.frombuffer(content, dtype).reshape(shape)
