"""Read Caffe's ``.caffemodel``, a protobuf message ``NetParameter``: only the fields that hold weights.

Field numbers, from Caffe's ``src/caffe/proto/caffe.proto``::

    NetParameter       layers = 2 (V1LayerParameter, until 2014), layer = 100 (LayerParameter)
    V1LayerParameter   name = 4, blobs = 6
    LayerParameter     name = 1, blobs = 7
    BlobProto          num, channels, height, width = 1, 2, 3, 4 (until 2014), shape = 7 (BlobShape: dim = 1),
                       data = 5 (packed floats), double_data = 8 (packed doubles)

In protobuf's encoding a field is a varint ``number << 3 | type``, followed by a varint (type 0), 8 bytes (1), a varint
length and as many bytes (2), or 4 bytes (5). All other fields are skipped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_AXES = 32  # kMaxBlobAxes in Caffe's blob.hpp
MAX_BLOBS = 100_000
MAX_NAME_BYTES = 4000


class LayerFields(NamedTuple):
    """Field numbers of a layer message."""

    name: int
    blobs: int


LAYERS = {2: LayerFields(name=4, blobs=6), 100: LayerFields(name=1, blobs=7)}


def parse_caffemodel(content: memoryview, where: str) -> dict[str, NDArray[Any]]:
    """Read the blobs of a ``.caffemodel``.

    Parameters
    ----------
    content : memoryview
        Content of the file. The arrays are views of it.
    where : str
        Name of the file, for messages.

    Returns
    -------
    dict
        ``"conv1/7x7_s2[0]"`` (layer and blob; weights before biases) -> array, float32 or float64.

    Raises
    ------
    DataError
        If the content is not such a protobuf message, is truncated, or a blob's size does not match its shape.
    """
    blobs: dict[str, NDArray[Any]] = {}
    for number, value in _fields(Cursor(content, where)):
        if number not in LAYERS or not isinstance(value, memoryview):
            continue
        for name, blob in _layer(Cursor(value, where), LAYERS[number], where):
            if name in blobs or len(blobs) == MAX_BLOBS:
                raise Cursor(content, where).damaged(f"two blobs are {name!r:.100}, or more than {MAX_BLOBS} blobs")
            blobs[name] = blob
    return blobs


def _layer(cursor: Cursor, numbers: LayerFields, where: str) -> list[tuple[str, NDArray[Any]]]:
    name = ""
    arrays: list[NDArray[Any]] = []
    for number, value in _fields(cursor):
        if number == numbers.name and isinstance(value, memoryview):
            if len(value) > MAX_NAME_BYTES:
                raise cursor.damaged(f"a layer's name has {len(value):,} bytes, more than {MAX_NAME_BYTES}")
            name = Cursor(value, where).text(len(value), "a layer's name")
        elif number == numbers.blobs and isinstance(value, memoryview):
            if len(arrays) == MAX_BLOBS:
                raise cursor.damaged(f"layer {name!r:.100} has more than {MAX_BLOBS} blobs")
            arrays.append(_blob(Cursor(value, where), f"a blob of layer {name!r:.100}"))
    return [(f"{name}[{index}]", array) for index, array in enumerate(arrays)]


def parse_blob(content: memoryview, where: str) -> NDArray[Any]:
    """Read the array of a ``.binaryproto``, one ``BlobProto``. Raises `DataError` as `parse_caffemodel` does."""
    return _blob(Cursor(content, where), "the blob")


def _blob(cursor: Cursor, what: str) -> NDArray[Any]:
    legacy = {1: 1, 2: 1, 3: 1, 4: 1}
    shape: list[int] | None = None
    data: NDArray[Any] | None = None
    for number, value in _fields(cursor):
        if number in legacy and isinstance(value, int):
            legacy[number] = value
        elif number == 7 and isinstance(value, memoryview):
            shape = _dims(cursor, value)
        elif number in (5, 8):
            size = 4 if number == 5 else 8
            if data is not None or not isinstance(value, memoryview) or len(value) % size:
                raise cursor.damaged(f"{what} is not one packed list of numbers")
            data = np.frombuffer(value, f"<f{size}")
    if shape is None:  # the legacy four axes, where a bias is (1, 1, 1, C)
        shape = [legacy[4]] if legacy[1] == legacy[2] == legacy[3] == 1 else list(legacy.values())
    count = 0 if data is None else data.size
    if data is None or len(shape) > MAX_AXES or math.prod(shape) != count:
        raise cursor.damaged(f"{what} has {count:,} numbers, its shape is {shape!s:.100}")
    return data.reshape(shape)


def _dims(cursor: Cursor, message: memoryview) -> list[int]:
    """Read a BlobShape's ``dim``: packed into one field, or one field each."""
    dims: list[int] = []
    for number, value in _fields(Cursor(message, cursor.where)):
        if number == 1 and isinstance(value, int):
            dims.append(value)
        elif number == 1 and isinstance(value, memoryview):
            packed = Cursor(value, cursor.where)
            while packed.left and len(dims) <= MAX_AXES:
                dims.append(_varint(packed))
    return dims


def _fields(cursor: Cursor) -> Iterator[tuple[int, int | memoryview]]:
    """Iterate over fields as (number, value): an int for a varint, else bytes."""
    while cursor.left:
        tag = _varint(cursor)
        number, kind = tag >> 3, tag & 7
        what = f"field {number}"
        if kind == VARINT:
            yield number, _varint(cursor)
        elif kind == BYTES:
            yield number, cursor.take(_varint(cursor), what)
        elif kind in (FIXED32, FIXED64) and number:
            yield number, cursor.take(4 if kind == FIXED32 else 8, what)
        else:
            raise cursor.damaged(f"{what} has wire type {kind}, which protobuf does not write here")


def _varint(cursor: Cursor) -> int:
    """Read an integer of at most 64 bits: 7 bits per byte, lowest first; the eighth bit says that more follow."""
    value = 0
    for shift in range(0, 70, 7):
        byte = cursor.take(1, "a varint")[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise cursor.damaged("a varint has more than 10 bytes")
