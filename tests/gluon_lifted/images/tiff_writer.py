"""A TIFF writer for tests, in plain loops, for layouts that Pillow cannot write (TIFF 6.0, Adobe 1992)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

NONE, DEFLATE, PACKBITS = 1, 8, 32773
SHORT, LONG = 3, 4


@dataclass(frozen=True)
class Tiff:
    """How samples are stored. Samples are integers of ``bits`` bits."""

    photometric: int = 1
    bits: int = 8
    order: str = "<"
    sample_format: int | None = None  # 1 unsigned, 2 signed, 3 floating point; None leaves the tag out
    extra: tuple[int, ...] = ()  # 0 unspecified, 1 premultiplied alpha, 2 alpha
    fill_order: int | None = None
    planar: int = 1
    compression: int = NONE
    rows_per_strip: int | None = None
    tile: int | None = None  # side in pixels
    colormap: tuple[int, ...] = ()
    tags: dict[int, tuple[int, ...]] = field(default_factory=dict)  # extra tags, all SHORT

    def encode(self, samples: list[list[list[int]]]) -> bytes:
        """Encode ``samples[y][x][channel]`` as a file."""
        height, width, channels = len(samples), len(samples[0]), len(samples[0][0])
        planes = [[c] for c in range(channels)] if self.planar == 2 else [list(range(channels))]
        chunks = [
            self._compressed(b"".join(self._row([line[x][c] for x in columns for c in plane]) for line in block))
            for plane in planes
            for block, columns in self._blocks(samples, width)
        ]
        tags: dict[int, tuple[int, tuple[int, ...]]] = {
            256: (LONG, (width,)),
            257: (LONG, (height,)),
            258: (SHORT, (self.bits,) * channels),
            259: (SHORT, (self.compression,)),
            262: (SHORT, (self.photometric,)),
            277: (SHORT, (channels,)),
            284: (SHORT, (self.planar,)),
        }
        if self.tile is not None:
            tags |= {322: (LONG, (self.tile,)), 323: (LONG, (self.tile,))}
        else:
            tags[278] = (LONG, (self.rows_per_strip or height,))
        if self.fill_order is not None:
            tags[266] = (SHORT, (self.fill_order,))
        if self.extra:
            tags[338] = (SHORT, self.extra)
        if self.sample_format is not None:
            tags[339] = (SHORT, (self.sample_format,) * channels)
        if self.colormap:
            tags[320] = (SHORT, self.colormap)
        tags |= {number: (SHORT, values) for number, values in self.tags.items()}
        return self._file(tags, chunks)

    def _blocks(self, samples, width):
        if self.tile is None:
            step = self.rows_per_strip or len(samples)
            for top in range(0, len(samples), step):
                yield samples[top : top + step], range(width)
            return
        for top in range(0, len(samples), self.tile):
            for left in range(0, width, self.tile):  # padding repeats the last row and column
                lines = [samples[min(y, len(samples) - 1)] for y in range(top, top + self.tile)]
                yield lines, [min(x, width - 1) for x in range(left, left + self.tile)]

    def _row(self, values: list[int]) -> bytes:
        """Pack the samples of a row, highest bit first; whole bytes in the file's byte order."""
        if self.bits % 8 == 0:
            order = "little" if self.order == "<" else "big"
            packed = b"".join(value.to_bytes(self.bits // 8, order) for value in values)
        else:
            text = "".join(format(value, f"0{self.bits}b") for value in values)
            text += "0" * (-len(text) % 8)
            packed = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
        return packed

    def _compressed(self, content: bytes) -> bytes:
        """Compress a strip or tile and apply the fill order of its bits."""
        if self.compression == DEFLATE:
            content = zlib.compress(content)
        elif self.compression == PACKBITS:  # only literal runs
            runs = [content[at : at + 128] for at in range(0, len(content), 128)]
            content = b"".join(bytes([len(run) - 1]) + run for run in runs)
        if self.fill_order == 2:
            content = bytes(int(format(byte, "08b")[::-1], 2) for byte in content)
        return content

    def _file(self, tags: dict[int, tuple[int, tuple[int, ...]]], chunks: list[bytes]) -> bytes:
        sizes = tuple(len(chunk) for chunk in chunks)
        at_tag, size_tag = (324, 325) if self.tile is not None else (273, 279)
        tags |= {at_tag: (LONG, (0,) * len(chunks)), size_tag: (LONG, sizes)}
        start = 8 + 2 + 12 * len(tags) + 4
        data, entries = bytearray(), []
        offsets, position = [], start + sum(self._outside(kind, values) for kind, values in tags.values())
        for size in sizes:
            offsets.append(position)
            position += size
        tags[at_tag] = (LONG, tuple(offsets))
        for number, (kind, values) in sorted(tags.items()):
            packed = struct.pack(f"{self.order}{len(values)}{'HI'[kind - SHORT]}", *values)
            if len(packed) > 4:
                value = struct.pack(f"{self.order}I", start + len(data))
                data += packed
            else:
                value = packed.ljust(4, b"\0")
            entries.append(struct.pack(f"{self.order}HHI", number, kind, len(values)) + value)
        header = (b"II*\0" if self.order == "<" else b"MM\0*") + struct.pack(f"{self.order}I", 8)
        directory = struct.pack(f"{self.order}H", len(entries)) + b"".join(entries) + bytes(4)
        return header + directory + bytes(data) + b"".join(chunks)

    @staticmethod
    def _outside(kind: int, values: tuple[int, ...]) -> int:
        size = len(values) * (2 if kind == SHORT else 4)
        return size if size > 4 else 0
