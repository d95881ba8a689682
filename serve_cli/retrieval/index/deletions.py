"""The deleted rows of an index, in a file that may be damaged or hostile."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from serve_cli.retrieval.index.layout import IndexManifest


def write_deletions(path: Path, rows: NDArray[np.int64]) -> None:
    """Write sorted row numbers, (n,), as `numpy.save` does."""
    with replaced_file(path) as temporary, temporary.open("wb") as file:
        file.write(_header(len(rows)))
        file.write(np.ascontiguousarray(rows, "<i8").tobytes())


def read_deletions(folder: Path, manifest: IndexManifest) -> NDArray[np.int64]:
    """Read the deleted rows of an index, sorted int64, (n,).

    Raises
    ------
    RunError
        If the file is not what `write_deletions` writes, or does not match ``index.json``.
    FileNotFoundError
        If it is missing: the index may have been switched to a new version.
    """
    if manifest.deletions is None:
        return np.empty(0, np.int64)
    path, header = folder / manifest.deletions, _header(manifest.deleted)
    expected = len(header) + 8 * manifest.deleted
    if not path.is_file():  # opening a pipe would block
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size != expected:
            raise RunError(f"{path}: has {size:,} bytes, expected {expected:,}; build the index again.")
        file.seek(0)
        if file.read(len(header)) != header:
            raise RunError(f"{path}: is not a list of {manifest.deleted} row numbers; build the index again.")
        rows = np.frombuffer(file.read(), "<i8").astype(np.int64)
    if len(rows) and (rows[0] < 0 or rows[-1] >= manifest.total or (np.diff(rows) <= 0).any()):
        raise RunError(f"{path}: its row numbers are not sorted within 0 to {manifest.total}; build the index again.")
    return rows


def _header(count: int) -> bytes:
    text = io.BytesIO()
    write: Any = np.lib.format.write_array_header_1_0  # it has no type annotations
    write(text, {"descr": "<i8", "fortran_order": False, "shape": (count,)})
    return text.getvalue()
