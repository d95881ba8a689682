"""Read MXNet's ``.params`` files: a list of named arrays in MXNet's own binary format. No MXNet needed.

Little endian throughout (``NDArray::Save`` and ``NDArray::Load`` in MXNet's ``src/ndarray/ndarray.cc``)::

    uint64 0x112, uint64 reserved
    uint64 count, then count arrays:
        uint32 magic: 0xF993fac9 (V2), ca (V3, NumPy shapes): then int32 storage type, 0 = dense
                      0xF993fac8 (V1)
                      otherwise (legacy): the magic itself is the number of axes, lengths are uint32
        int32 number of axes, int64 length of each; without axes (V3: with -1) the array ends here
        int32 device type, int32 device id
        int32 type flag, then the elements
    uint64 count, then count names: uint64 length, UTF-8 text; "arg:" or "aux:" comes first
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import MalformedModelError

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
DENSE = 0
MAX_AXES = 32  # NumPy's own limit
MAX_NAME_BYTES = 4000
PREFIXES = ("arg:", "aux:")
DTYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8", 7: "?"}  # mshadow/base.h: TypeFlag


def parse_params(content: bytes, where: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a ``.params`` file that ``HybridBlock.export`` wrote.

    Parameters
    ----------
    content : bytes
        The file. The arrays are read-only views of it.
    where : str
        Its name, for messages.

    Returns
    -------
    dict
        Name without ``arg:`` or ``aux:`` -> array.

    Raises
    ------
    MalformedModelError
        If the file is truncated, longer than it says, of another format, or holds sparse arrays, unknown types,
        unnamed arrays or one name twice. A size is believed only after it was compared with the bytes left.
    """
    reader = _Reader(content, where)
    magic, _ = reader.numbers("<QQ", "the header")
    if magic != LIST_MAGIC:
        raise MalformedModelError(
            f"{where}: begins with {magic:#x}, not {LIST_MAGIC:#x}; this is no MXNet .params file."
        )
    arrays = [_array(reader, f"array {index}") for index in range(reader.count("arrays"))]
    names = [_name(reader, f"name {index}") for index in range(reader.count("names"))]
    if reader.left:
        raise reader.damaged(f"{reader.left:,} bytes follow the last name")
    if len(arrays) != len(names):
        raise reader.damaged(f"{len(arrays)} arrays but {len(names)} names")
    if len(set(names)) != len(names):
        raise reader.damaged("two arrays have one name")
    return dict(zip(names, arrays, strict=True))


class _Reader:
    """A position in the file; every read is checked against what is left."""

    def __init__(self, content: bytes, where: str) -> None:
        self._content = content
        self._where = where
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._position

    def damaged(self, what: str) -> MalformedModelError:
        return MalformedModelError(f"{self._where}: {what}; the file is damaged, export the network again.")

    def skip(self, size: int, what: str) -> int:
        """Move on by ``size`` bytes; the position before."""
        if size > self.left:
            raise self.damaged(f"{what} needs {size:,} bytes and {self.left:,} are left")
        start = self._position
        self._position += size
        return start

    def numbers(self, layout: str, what: str) -> tuple[int, ...]:
        return struct.unpack_from(layout, self._content, self.skip(struct.calcsize(layout), what))

    def count(self, what: str) -> int:
        """A number of items of at least 8 bytes each: an array's magic and axes, a name's length."""
        (count,) = self.numbers("<Q", f"the number of {what}")
        if count * 8 > self.left:
            raise self.damaged(f"{count:,} {what} do not fit into the {self.left:,} bytes left")
        return count

    def elements(self, dtype: str, shape: tuple[int, ...], what: str) -> NDArray[Any]:
        count = math.prod(shape)
        start = self.skip(count * np.dtype(dtype).itemsize, what)
        if dtype == "?":  # bytes other than 0 and 1 would make invalid booleans
            return np.frombuffer(self._content, np.uint8, count, start).astype(np.bool_).reshape(shape)
        return np.frombuffer(self._content, dtype, count, start).reshape(shape)

    def text(self, size: int, what: str) -> str:
        start = self.skip(size, what)
        try:
            return self._content[start : start + size].decode()
        except UnicodeDecodeError:
            raise self.damaged(f"{what} is not UTF-8") from None


def _array(reader: _Reader, what: str) -> NDArray[Any]:
    shape = _shape(reader, what)
    if shape is None:
        raise reader.damaged(f"{what} is empty")
    reader.numbers("<ii", f"{what}: its device")
    (flag,) = reader.numbers("<i", f"{what}: its type")
    if flag not in DTYPES:
        raise reader.damaged(f"{what} has type flag {flag}, not one of 0 to {max(DTYPES)}")
    return reader.elements(DTYPES[flag], shape, what)


def _shape(reader: _Reader, what: str) -> tuple[int, ...] | None:
    """The lengths of the axes; None if the array has no content."""
    (magic,) = reader.numbers("<I", f"{what}: its magic")
    if magic in (V2, V3):
        (storage,) = reader.numbers("<i", f"{what}: its storage type")
        if storage != DENSE:
            raise reader.damaged(f"{what} has storage type {storage}, a sparse array; only dense ones (0) can be read")
    axes = reader.numbers("<i", f"{what}: its axes")[0] if magic in (V1, V2, V3) else magic
    if axes == -1 or (axes == 0 and magic != V3):
        return None
    if not 0 <= axes <= MAX_AXES:
        raise reader.damaged(f"{what} has {axes} axes, more than {MAX_AXES} or fewer than none")
    shape = reader.numbers(f"<{axes}{'q' if magic in (V1, V2, V3) else 'I'}", f"{what}: its shape")
    if min(shape, default=1) < 1:
        raise reader.damaged(f"{what} has the shape {shape}")
    return shape


def _name(reader: _Reader, what: str) -> str:
    (size,) = reader.numbers("<Q", f"{what}: its length")
    if size > MAX_NAME_BYTES:
        raise reader.damaged(f"{what} has {size:,} bytes, more than {MAX_NAME_BYTES}")
    name = reader.text(size, what)
    if not name.startswith(PREFIXES):
        raise reader.damaged(f"{what} is {name!r:.100}, without 'arg:' or 'aux:'")
    return name[4:]
