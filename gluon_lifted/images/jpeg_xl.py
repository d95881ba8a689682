"""Read JPEG XL through pillow-jxl-plugin, but decode only when pixels are loaded.

The plugin decodes a file as soon as it is opened, before its size can be checked. Here the size is read from the header
first (ISO/IEC 18181-1:2022, annexes D.2 and D.3; the container is part 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

CODESTREAM, CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL "
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # width : height
SIZE_BITS = (9, 13, 18, 30)
HEADER_BYTES = 64
SIDEWAYS = 5  # this orientation and higher ones swap width and height, as in EXIF


def register() -> None:
    """Register the format with Pillow."""
    from pillow_jxl.JpegXLImagePlugin import JXLImageFile

    class LazyJxlImageFile(JXLImageFile):
        """A JPEG XL image that `load` decodes."""

        def _open(self) -> None:
            self._size = upright_size(self.fp.read())
            self._mode = "RGBA"  # the mode of most memory; the true one is known after decoding
            self._decoded = False

        def load(self) -> Any:
            if not self._decoded:
                self._decoded = True
                expected = self._size
                self.fp.seek(0)
                super()._open()
                if not self.jpeg:  # libjxl has already rotated it
                    self.info.pop("exif", None)
                if self._size not in (expected, expected[::-1]):
                    raise ValueError(f"its header says {expected} px, but it has {self._size} px")
            return super().load()

    Image.register_open("JXL", LazyJxlImageFile, lambda head: head.startswith((CODESTREAM, CONTAINER)))


def upright_size(content: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG XL file after rotation. Raises `ValueError` if it has no header."""
    bits = _bits(_codestream(content))
    short = bits(1)  # multiples of 8 up to 256
    height = 8 * (1 + bits(5)) if short else 1 + bits(SIZE_BITS[bits(2)])
    ratio = bits(3)
    if ratio:
        across, down = RATIOS[ratio]
        width = height * across // down
    else:
        width = 8 * (1 + bits(5)) if short else 1 + bits(SIZE_BITS[bits(2)])
    has_all_defaults = bits(1)
    orientation = 1 + bits(3) if not has_all_defaults and bits(1) else 1
    return (height, width) if orientation >= SIDEWAYS else (width, height)


def _bits(content: bytes) -> Callable[[int], int]:
    """Return a function that reads the next ``count`` bits as a number, lowest bit first."""
    left = int.from_bytes(content[:HEADER_BYTES], "little")

    def take(count: int) -> int:
        nonlocal left
        value = left & ((1 << count) - 1)
        left >>= count
        return value

    return take


def _codestream(content: bytes) -> bytes:
    """Return the codestream after its signature. In a container it is in box ``jxlc`` or the first ``jxlp``."""
    offset = 0
    while content.startswith(CONTAINER) and offset < len(content):
        size, kind, head = int.from_bytes(content[offset : offset + 4], "big"), content[offset + 4 : offset + 8], 8
        if size == 1:
            size, head = int.from_bytes(content[offset + 8 : offset + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            offset += head + (4 if kind == b"jxlp" else 0)  # skip the part number
            break
        offset += max(size, head)
    if not content.startswith(CODESTREAM, offset):
        raise ValueError("its JPEG XL has no codestream")
    return content[offset + len(CODESTREAM) :][:HEADER_BYTES]
