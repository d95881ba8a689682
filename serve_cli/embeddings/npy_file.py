"""A matrix in a file of NumPy's format, which may be damaged or hostile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = b"\x93NUMPY\x01\x00"  # version 1.0; others are for headers that are longer or not ASCII
HEADER = re.compile(
    rb"\{'descr': '(<f2|<f4|<f8|\|i1|\|u1)', 'fortran_order': (True|False), 'shape': \((\d{1,18}), (\d{1,18})\), \} *\n"
)


def open_numbers(path: Path) -> NDArray[Any]:
    """A matrix as `numpy.save` writes it, mapped into memory.

    `numpy.load` would take an archive or an array of any type and shape, and evaluates the header.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file, or its size is not what its header says.
    """
    if not path.is_file():  # a pipe would be waited for
        raise FileNotFoundError("no such file")
    with path.open("rb") as file:
        start = file.read(10)
        length = int.from_bytes(start[8:], "little")
        header = HEADER.fullmatch(file.read(length))
        if not start.startswith(MAGIC) or header is None:
            raise ValueError("not a matrix that numpy.save writes")
        dtype, shape = np.dtype(header[1].decode()), (int(header[3]), int(header[4]))
        size, expected = file.seek(0, 2), 10 + length + dtype.itemsize * shape[0] * shape[1]
        if size != expected:
            raise ValueError(f"its header says {shape} of {dtype}, {expected:,} bytes, and it has {size:,}")
        return np.memmap(file, dtype, "r", 10 + length, shape, "F" if header[2] == b"True" else "C")
