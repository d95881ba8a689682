"""A cursor for untrusted binary files: every size is compared with the bytes that are left before it is used."""

from __future__ import annotations

import struct
from typing import Any

from gluon_lifted.errors import DataError


class Cursor:
    """A read position in ``content``, which moves from front to back.

    Parameters
    ----------
    content : memoryview
        The bytes to read. They are not copied.
    where : str
        Name of the file, for messages.
    """

    def __init__(self, content: memoryview, where: str) -> None:
        self._content, self.where, self._position = content, where, 0

    @property
    def left(self) -> int:
        """Number of bytes that are not read yet."""
        return len(self._content) - self._position

    def damaged(self, what: str) -> DataError:
        """Return the error to raise. ``what`` is the problem with the file."""
        return DataError(f"{self.where}: {what}. The file is damaged, or its name does not match its format.")

    def take(self, size: int, what: str) -> memoryview:
        """Read ``size`` bytes. Raises `DataError` if fewer are left."""
        if size > self.left:
            raise self.damaged(f"{what} needs {size:,} bytes, but only {self.left:,} are left")
        start = self._position
        self._position += size
        return self._content[start : start + size]

    def numbers(self, layout: str, what: str) -> tuple[Any, ...]:
        """Read numbers in a format of `struct`. Raises `DataError` if too few bytes are left."""
        return struct.unpack(layout, self.take(struct.calcsize(layout), what))

    def text(self, size: int, what: str) -> str:
        """Read ``size`` bytes of UTF-8. Raises `DataError` if fewer are left or they are not UTF-8."""
        try:
            return str(self.take(size, what), "utf-8")
        except UnicodeDecodeError:
            raise self.damaged(f"{what} is not UTF-8") from None
