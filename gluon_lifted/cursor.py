"""A position in a file of others: a size is believed only after it was compared with the bytes that are left."""

from __future__ import annotations

import struct
from typing import Any

from gluon_lifted.errors import DataError


class Cursor:
    """Reads ``content`` from front to back.

    Parameters
    ----------
    content : memoryview
        A view of bytes. Nothing is copied.
    where : str
        The file, for messages.
    """

    def __init__(self, content: memoryview, where: str) -> None:
        self._content, self.where, self._position = content, where, 0

    @property
    def left(self) -> int:
        return len(self._content) - self._position

    def damaged(self, what: str) -> DataError:
        return DataError(f"{self.where}: {what}; the file is damaged, or not what its name says.")

    def take(self, size: int, what: str) -> memoryview:
        """The next ``size`` bytes. Raises `DataError` if there are fewer."""
        if size > self.left:
            raise self.damaged(f"{what} needs {size:,} bytes and {self.left:,} are left")
        start = self._position
        self._position += size
        return self._content[start : start + size]

    def numbers(self, layout: str, what: str) -> tuple[Any, ...]:
        """Numbers by a layout of `struct`."""
        return struct.unpack(layout, self.take(struct.calcsize(layout), what))

    def text(self, size: int, what: str) -> str:
        try:
            return str(self.take(size, what), "utf-8")
        except UnicodeDecodeError:
            raise self.damaged(f"{what} is not UTF-8") from None
