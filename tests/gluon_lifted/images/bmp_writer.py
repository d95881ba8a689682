"""A BMP writer for tests, in plain loops (BITMAPINFOHEADER and BITMAPV4HEADER)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

RGB, RLE8, RLE4, BITFIELDS = 0, 1, 2, 3  # biCompression


@dataclass(frozen=True)
class Bmp:
    """How pixels are stored: ``masks`` of red, green, blue (and alpha) for `BITFIELDS`, else a palette or BGR."""

    bits: int = 24
    compression: int = RGB
    palette: tuple[tuple[int, int, int], ...] = ()
    masks: tuple[int, ...] = ()
    top_down: bool = False

    def encode(self, pixels: list[list[int]]) -> bytes:
        """``pixels[y][x]``, each as the stored integer."""
        height, width = len(pixels), len(pixels[0])
        lines = pixels if self.top_down else pixels[::-1]
        body = b"".join(self._row(line) for line in lines)
        if self.compression in (RLE8, RLE4):
            body += b"\0\1"  # end of the bitmap
        size = 108 if len(self.masks) == 4 else 40
        head = struct.pack("<IiiHHIIiiII", size, width, -height if self.top_down else height, 1, self.bits,
                           self.compression, len(body), 2835, 2835, len(self.palette), 0)  # fmt: skip
        head += b"".join(struct.pack("<I", mask) for mask in self.masks)
        head = head.ljust(size, b"\0") if len(self.masks) == 4 else head
        head += b"".join(bytes([blue, green, red, 0]) for red, green, blue in self.palette)
        offset = 14 + len(head)
        return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + head + body

    def _row(self, line: list[int]) -> bytes:
        if self.compression == RLE8:  # each pixel is a run of one
            return b"".join(bytes([1, value]) for value in line) + b"\0\0"
        if self.compression == RLE4:
            return b"".join(bytes([1, value << 4]) for value in line) + b"\0\0"
        if self.bits >= 8:
            packed = b"".join(value.to_bytes(self.bits // 8, "little") for value in line)
        else:
            text = "".join(format(value, f"0{self.bits}b") for value in line)
            text += "0" * (-len(text) % 8)
            packed = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
        return packed + bytes(-len(packed) % 4)
