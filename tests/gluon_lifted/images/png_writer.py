"""A PNG writer for tests, in plain loops (PNG specification, third edition)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6  # color types
# First column and row, and steps between columns and rows, of Adam7's passes (section 8.2)
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
WHOLE = [(0, 0, 1, 1)]

Samples = list[list[list[int]]]


@dataclass(frozen=True)
class Png:
    """How samples are stored.

    ``transparent`` is the content of tRNS: a gray value, a color, or an alpha for each entry of the palette.
    """

    color: int = GRAY
    bits: int = 8
    interlaced: bool = False
    transparent: tuple[int, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    chunks: tuple[tuple[bytes, bytes], ...] = ()  # extra chunks before the pixels

    def encode(self, samples: Samples) -> bytes:
        """Encode ``samples[y][x][channel]`` as a file."""
        head = struct.pack(">IIBBBBB", len(samples[0]), len(samples), self.bits, self.color, 0, 0, self.interlaced)
        parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head)]
        parts += [chunk(name, content) for name, content in self.chunks]
        if self.palette:
            parts.append(chunk(b"PLTE", bytes(value for color in self.palette for value in color)))
        if self.transparent:
            size = "B" if self.color == PALETTE else "H"
            parts.append(chunk(b"tRNS", struct.pack(f">{len(self.transparent)}{size}", *self.transparent)))
        rows = b"".join(
            self._row([value for pixel in line[left::across] for value in pixel])
            for left, top, across, down in (ADAM7 if self.interlaced else WHOLE)
            for line in samples[top::down]
            if line[left::across]
        )
        return b"".join([*parts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])

    def _row(self, values: list[int]) -> bytes:
        """Filter 0, then the samples, highest bit first."""
        text = "".join(format(value, f"0{self.bits}b") for value in values)
        text += "0" * (-len(text) % 8)
        return b"\0" + bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
