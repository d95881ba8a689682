"""Read MXNet's ``.params`` files, lists of named arrays in a binary format, without MXNet.

Little endian throughout (``NDArray::Save`` and ``NDArray::Load`` in MXNet's ``src/ndarray/ndarray.cc``)::

    uint64 0x112, uint64 reserved
    uint64 count, then count arrays:
        uint32 magic: 0xF993fac9 (V2), ca (V3, NumPy shapes): then int32 storage type, 0 = dense
                      0xF993fac8 (V1)
                      otherwise (legacy): the magic itself is the number of axes, lengths are uint32
        int32 number of axes, int64 length of each; without axes (V3: with -1) the array ends here
        int32 device type, int32 device id
        int32 type flag, then the elements
    uint64 count, then count names: uint64 length, UTF-8 text
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.cursor import Cursor

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
DENSE = 0
MAX_AXES = 32  # NumPy's own limit
MAX_NAME_BYTES = 4000
MIN_ITEM_BYTES = 8  # an array's magic and axes, or a name's length
DTYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8", 7: "?"}  # mshadow/base.h: TypeFlag


def parse_params(content: memoryview, where: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a ``.params`` file.

    Parameters
    ----------
    content : memoryview
        Content of the file. Most arrays are views of it.
    where : str
        Name of the file, for messages.

    Returns
    -------
    dict
        Name in the file -> array.

    Raises
    ------
    DataError
        If the file is truncated, has trailing bytes or another format, or holds sparse or empty arrays, unknown
        types or a duplicate name.
    """
    cursor = Cursor(content, where)
    magic, _ = cursor.numbers("<QQ", "the header")
    if magic != LIST_MAGIC:
        raise cursor.damaged(f"it begins with {magic:#x}, not with MXNet's {LIST_MAGIC:#x}")
    arrays = [_array(cursor, f"array {index}") for index in range(_count(cursor, "arrays"))]
    names = [_name(cursor, f"name {index}") for index in range(_count(cursor, "names"))]
    if cursor.left:
        raise cursor.damaged(f"{cursor.left:,} unexpected bytes follow the last name")
    if len(arrays) != len(names):
        raise cursor.damaged(f"it has {len(arrays)} arrays but {len(names)} names")
    if len(set(names)) != len(names):
        raise cursor.damaged("two arrays have the same name")
    return dict(zip(names, arrays, strict=True))


def _count(cursor: Cursor, what: str) -> int:
    (count,) = cursor.numbers("<Q", f"the number of {what}")
    if count * MIN_ITEM_BYTES > cursor.left:
        raise cursor.damaged(f"it declares {count:,} {what}, which do not fit into the {cursor.left:,} bytes left")
    return int(count)


def _array(cursor: Cursor, what: str) -> NDArray[Any]:
    shape = _shape(cursor, what)
    _, _, flag = cursor.numbers("<iii", f"{what}: its device and type")
    if flag not in DTYPES:
        raise cursor.damaged(f"{what} has type flag {flag}, not one of 0 to {max(DTYPES)}")
    dtype = np.dtype(DTYPES[flag])
    elements = cursor.take(math.prod(shape) * dtype.itemsize, what)
    if dtype == np.bool_:  # bytes other than 0 and 1 are not valid booleans in NumPy
        return np.frombuffer(elements, np.uint8).astype(np.bool_).reshape(shape)
    return np.frombuffer(elements, dtype).reshape(shape)


def _shape(cursor: Cursor, what: str) -> tuple[int, ...]:
    (magic,) = cursor.numbers("<I", f"{what}: its magic")
    storage = cursor.numbers("<i", f"{what}: its storage type")[0] if magic in (V2, V3) else DENSE
    if storage != DENSE:
        raise cursor.damaged(f"{what} is sparse (storage type {storage}); expected a dense array")
    known = magic in (V1, V2, V3)
    axes = cursor.numbers("<i", f"{what}: its axes")[0] if known else magic
    if axes == -1 or (axes == 0 and magic != V3):
        raise cursor.damaged(f"{what} is empty")
    if not 0 <= axes <= MAX_AXES:
        raise cursor.damaged(f"{what} has {axes} axes; expected at most {MAX_AXES}")
    shape: tuple[int, ...] = cursor.numbers(f"<{axes}{'q' if known else 'I'}", f"{what}: its shape")
    if min(shape, default=1) < 1:
        raise cursor.damaged(f"{what} has the shape {shape}")
    return shape


def _name(cursor: Cursor, what: str) -> str:
    (size,) = cursor.numbers("<Q", f"{what}: its length")
    if size > MAX_NAME_BYTES:
        raise cursor.damaged(f"{what} has {size:,} bytes, more than {MAX_NAME_BYTES}")
    return cursor.text(size, what)
