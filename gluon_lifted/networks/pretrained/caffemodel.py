"""Read Caffe's ``.caffemodel``, a protobuf message ``NetParameter``: only the fields that hold weights.

Field numbers, from Caffe's ``src/caffe/proto/caffe.proto``::

    NetParameter       layers = 2 (V1LayerParameter, until 2014), layer = 100 (LayerParameter)
    V1LayerParameter   name = 4, blobs = 6
    LayerParameter     name = 1, blobs = 7
    BlobProto          num, channels, height, width = 1, 2, 3, 4 (until 2014), shape = 7 (BlobShape: dim = 1),
                       data = 5 (packed floats), double_data = 8 (packed doubles)

All other fields are skipped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.cursor import Cursor
from gluon_lifted.networks.pretrained.protobuf import fields, integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_AXES = 32  # kMaxBlobAxes in Caffe's blob.hpp
MAX_BLOBS = 100_000
MAX_BLOBS_OF_LAYER = 100  # each repeats the layer's name; Caffe's own layers have at most a few
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
    for number, value in fields(Cursor(content, where)):
        if number not in LAYERS or not isinstance(value, memoryview):
            continue
        for name, blob in _layer(Cursor(value, where), LAYERS[number], where):
            if name in blobs or len(blobs) == MAX_BLOBS:
                raise Cursor(content, where).damaged(
                    f"two blobs are named {name!r:.100}, or there are more than {MAX_BLOBS} blobs"
                )
            blobs[name] = blob
    return blobs


def _layer(cursor: Cursor, numbers: LayerFields, where: str) -> list[tuple[str, NDArray[Any]]]:
    name = ""
    arrays: list[NDArray[Any]] = []
    for number, value in fields(cursor):
        if number == numbers.name and isinstance(value, memoryview):
            if len(value) > MAX_NAME_BYTES:
                raise cursor.damaged(f"a layer's name has {len(value):,} bytes, more than {MAX_NAME_BYTES}")
            name = Cursor(value, where).text(len(value), "a layer's name")
        elif number == numbers.blobs and isinstance(value, memoryview):
            if len(arrays) == MAX_BLOBS_OF_LAYER:
                raise cursor.damaged(f"layer {name!r:.100} has more than {MAX_BLOBS_OF_LAYER} blobs")
            arrays.append(_blob(Cursor(value, where), f"a blob of layer {name!r:.100}"))
    return [(f"{name}[{index}]", array) for index, array in enumerate(arrays)]


def parse_blob(content: memoryview, where: str) -> NDArray[Any]:
    """Read the array of a ``.binaryproto``, one ``BlobProto``. Raises `DataError` as `parse_caffemodel` does."""
    return _blob(Cursor(content, where), "the blob")


def _blob(cursor: Cursor, what: str) -> NDArray[Any]:
    legacy = {1: 1, 2: 1, 3: 1, 4: 1}
    shape: list[int] | None = None
    data: NDArray[Any] | None = None
    for number, value in fields(cursor):
        if number in legacy and isinstance(value, int):
            legacy[number] = value
        elif number == 7 and isinstance(value, memoryview):
            shape = _dims(value, cursor.where)
        elif number in (5, 8):
            size = 4 if number == 5 else 8
            if data is not None or not isinstance(value, memoryview) or len(value) % size:
                raise cursor.damaged(f"{what} is not one packed list of numbers")
            data = np.frombuffer(value, f"<f{size}")
    if shape is None:  # the legacy four axes, where a bias is (1, 1, 1, C)
        shape = [legacy[4]] if legacy[1] == legacy[2] == legacy[3] == 1 else list(legacy.values())
    count = 0 if data is None else data.size
    if data is None or len(shape) > MAX_AXES or 0 in shape or math.prod(shape) != count:
        raise cursor.damaged(f"{what} has {count:,} numbers, but its shape is {shape!s:.100}")
    return data.reshape(shape)


def _dims(message: memoryview, where: str) -> list[int]:
    """Read a BlobShape's ``dim``."""
    return integers((value for number, value in fields(Cursor(message, where)) if number == 1), MAX_AXES, where)
