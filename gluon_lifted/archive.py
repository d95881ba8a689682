"""Write NumPy archives, as `numpy.savez` does, but closed also where the disk is full."""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def write_npz(file: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """One ``.npy`` for each array, stored as it is, with a CRC-32. `numpy.savez` would leave a failed one open."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.save(member, array, allow_pickle=False)
