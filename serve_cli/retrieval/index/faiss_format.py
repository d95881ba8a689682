"""Check the structure of a FAISS file before FAISS reads it, since FAISS takes memory for the sizes that a file states.

The file may be damaged or hostile. Only the kinds that `lifted index` builds are known: inverted lists or a graph, of
flat, scalar-quantized or product-quantized vectors. Each number of entries must fit into the rest of the file, and the
file must end where its last entry does.
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING

from gluon_lifted.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

UINT8, INT32, UINT64, FLOAT32 = "B", "i", "Q", "f"
HEADER = "iqqqBi"  # width, rows, two that are unused, whether it is trained, metric
LARGEST_CODEBOOK_BITS = 24


def check_faiss_file(path: Path, rows: int) -> None:
    """Raise `RunError` unless a FAISS file is complete, of a known kind, and holds ``rows`` rows."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            FaissFile(content).check(rows)
    except ValueError as error:  # of an empty file, too
        raise RunError(f"{path}: {error!s:.200}; build the index again.") from None


class FaissFile:
    """Walks through the content of a FAISS file.

    Parameters
    ----------
    content : bytes-like
        The whole file, e.g. mapped into memory.
    """

    def __init__(self, content: mmap.mmap | bytes) -> None:
        self._content, self._position = content, 0
        self._block = (0, 0)  # rows and bytes of each block of codes

    def check(self, rows: int) -> None:
        """Raise `ValueError` unless the file is complete and holds ``rows`` rows."""
        kind = self._kind()
        if kind == "IxPT":
            self._transform()
            kind = self._kind()
        stored = self._graph(kind) if kind.startswith("IH") else self._inverted_lists(kind)
        if stored != rows:
            raise ValueError(f"holds {stored:,} rows, expected {rows:,}")
        if self._position != len(self._content):
            raise ValueError(f"ends at byte {self._position:,}, but has {len(self._content):,}")

    def _inverted_lists(self, kind: str) -> int:
        *_, count, _ = self._numbers(HEADER + UINT64 * 2)
        quantizer = self._kind()
        centroids = self._graph(quantizer) if quantizer.startswith("IH") else self._flat(quantizer)
        if centroids != count:
            raise ValueError(f"has {centroids:,} centroids of {count:,} lists")
        if self._number(UINT8) or self._vector(8):
            raise ValueError("has a map of row numbers")
        self._codes_of_lists(kind)
        lists = self._kind()
        own, *sizes = self._numbers(UINT64 * (2 if lists == "ilar" else 4))
        if own != count:
            raise ValueError(f"has {own:,} lists, expected {count:,}")
        if lists == "ilar":
            return self._plain_lists(count, *sizes)
        if lists == "ilbl":
            return self._block_lists(count, *sizes)
        raise ValueError(f"has lists of type {lists!r}")

    def _codes_of_lists(self, kind: str) -> None:
        if kind == "IwSq":
            self._scalar_quantizer()
            self._numbers(UINT64 + UINT8)
        elif kind == "IwPQ":
            self._numbers(UINT8 + UINT64)
            self._product_quantizer()
        elif kind == "IwPf":
            _, _, rows, codes, _, _ = self._numbers(UINT8 + UINT64 + INT32 + UINT64 + INT32 + UINT64)
            self._block = (rows, rows * codes // 2)  # a code has four bits
            self._product_quantizer()
        elif kind != "IwFl":
            raise ValueError(f"is of type {kind!r}")

    def _plain_lists(self, count: int, code_size: int) -> int:
        layout = self._kind()
        if layout not in ("full", "sprs"):
            raise ValueError(f"has lists of layout {layout!r}")
        start = self._position + 8
        numbers = self._vector(8)
        if numbers != count and layout == "full":
            raise ValueError(f"has the sizes of {numbers:,} lists, expected {count:,}")
        sizes = struct.unpack_from(f"<{numbers}Q", self._content, start)
        if layout == "sprs":
            listed, sizes = sizes[::2], sizes[1::2]
            if len(listed) != len(sizes) or len(set(listed)) != len(listed) or max(listed, default=0) >= count:
                raise ValueError("names a list twice, or one that there is not")
        self._skip(sum(sizes), code_size + 8)
        return sum(sizes)

    def _block_lists(self, count: int, _: int, block_rows: int, block_bytes: int) -> int:
        if (block_rows, block_bytes) != self._block or block_rows < 1:
            raise ValueError(f"has blocks of {block_rows:,} rows in {block_bytes:,} bytes, expected {self._block}")
        rows = 0
        for _ in range(count):
            listed, stored = self._vector(8), self._vector(1)
            if stored != -(-listed // block_rows) * block_bytes:
                raise ValueError(f"has a list of {listed:,} rows in {stored:,} bytes")
            rows += listed
        return rows

    def _graph(self, kind: str) -> int:
        if kind not in ("IHNf", "IHNs"):
            raise ValueError(f"is a graph of type {kind!r}")
        rows = self._numbers(HEADER)[1]
        for size in (8, 4, 4, 8, 4):  # level probabilities, links per level, levels, offsets, links
            self._vector(size)
        self._numbers(INT32 * 5)
        stored = self._flat(self._kind()) if kind == "IHNf" else self._scalar_quantized(self._kind())
        if stored != rows:
            raise ValueError(f"has a graph of {rows:,} rows, but {stored:,} vectors")
        return stored

    def _flat(self, kind: str) -> int:
        if kind not in ("IxF2", "IxFI"):
            raise ValueError(f"has vectors of type {kind!r}")
        width, rows, *_ = self._numbers(HEADER)
        if self._vector(4) != width * rows:
            raise ValueError(f"does not hold {rows:,} vectors of {width:,}")
        return rows

    def _scalar_quantized(self, kind: str) -> int:
        if kind != "IxSQ":
            raise ValueError(f"has vectors of type {kind!r}")
        rows = self._numbers(HEADER)[1]
        code_size = self._scalar_quantizer()
        if self._vector(1) != code_size * rows:
            raise ValueError(f"does not hold {rows:,} codes of {code_size:,} bytes")
        return rows

    def _scalar_quantizer(self) -> int:
        code_size = self._numbers(INT32 * 3 + UINT64 * 2)[-1]
        self._vector(4)
        return code_size

    def _product_quantizer(self) -> None:
        width, _, bits = self._numbers(UINT64 * 3)
        if bits > LARGEST_CODEBOOK_BITS or self._vector(4) != width << bits:
            raise ValueError(f"does not hold codebooks of {bits:,} bits for {width:,} columns")

    def _transform(self) -> None:
        """Walk through a chain of one linear transform."""
        self._numbers(HEADER)
        if self._number(INT32) != 1:
            raise ValueError("has a transform that is not linear, or several")
        kind = self._kind()
        if kind == "Pcam":
            self._numbers(FLOAT32 * 2 + UINT8 + INT32)
            for _ in range(3):  # mean, eigenvalues, eigenvectors
                self._vector(4)
        elif kind not in ("LTra", "rrot"):
            raise ValueError(f"has a transform of type {kind!r}")
        self._number(UINT8)
        self._vector(4)
        self._vector(4)
        self._numbers(INT32 * 2 + UINT8)

    def _kind(self) -> str:
        """Read the four letters that name what follows."""
        return bytes(self._numbers("4s")[0]).decode("latin-1")

    def _number(self, layout: str) -> int:
        return int(self._numbers(layout)[0])

    def _numbers(self, layout: str) -> tuple[int, ...]:
        position = self._position
        self._skip(1, struct.calcsize(f"<{layout}"))
        return struct.unpack_from(f"<{layout}", self._content, position)

    def _vector(self, item_size: int) -> int:
        """Skip a vector and return its number of items."""
        count = self._number(UINT64)
        self._skip(count, item_size)
        return count

    def _skip(self, count: int, item_size: int) -> None:
        left = len(self._content) - self._position
        if count * item_size > left:
            raise ValueError(
                f"states {count:,} x {item_size:,} bytes at byte {self._position:,}, where {left:,} are left"
            )
        self._position += count * item_size
