"""Convert embeddings to their storage type and back, and scale them to unit norm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from serve_cli.choices import Dtype

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from serve_cli.sources.image_row import EmbeddedRows

DTYPES: dict[str, Any] = {name: np.dtype(name).type for name in get_args(Dtype)}
INT8_MOST = 127  # -128 is not used, so that a row and its negative are stored symmetrically


def to_stored(embedding: NDArray[np.float32], dtype: str) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """Convert embeddings to a storage type.

    Parameters
    ----------
    embedding : ndarray, float32, (n, D)
        All values are finite.
    dtype : str
        ``"float32"``, ``"float16"`` or ``"int8"``.

    Returns
    -------
    ndarray of dtype, (n, D)
    ndarray, float32, (n,), or None
        The scale of each int8 row: its largest absolute value / 127. Multiply stored rows by it. Cosines need no scale.
    """
    if dtype != "int8":
        return embedding.astype(DTYPES[dtype], copy=False), None
    scale = np.abs(embedding).max(axis=1, initial=0) / np.float32(INT8_MOST)  # (n,)
    divisor = np.where(scale > 0, scale, 1)[:, None]
    return np.clip(np.rint(embedding / divisor), -INT8_MOST, INT8_MOST).astype(np.int8), scale


def from_stored(stored: NDArray[Any], scale: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Invert `to_stored` up to the precision of the storage type. Returns float32, (n, D)."""
    with np.errstate(all="ignore"):  # readers check that the result is finite
        numbers = stored.astype(np.float32, copy=False)
        return numbers if scale is None else numbers * scale[:, None]


def to_unit_norm(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide rows by their norm. Rows of zeros stay unchanged."""
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray((wide / np.where(norms > 0, norms, 1)).astype(np.float32))


def fitting(batches: Iterable[EmbeddedRows], dtype: str) -> Iterator[EmbeddedRows]:
    """Yield the batches, with an error instead of an embedding where a number exceeds the range of ``dtype``."""
    if dtype != "float16":
        yield from batches
        return
    most = float(np.finfo(np.float16).max)
    for batch in batches:
        beyond = np.flatnonzero(np.abs(batch.embedding).max(axis=1, initial=0) > most)  # never for NaN
        if not len(beyond):
            yield batch
            continue
        embedding, errors = batch.embedding.copy(), list(batch.errors)
        embedding[beyond] = np.nan
        for row in beyond:
            errors[row] = (
                f"{batch.rows[row].id}: its embedding exceeds {most:.0f}, the largest float16; use --dtype float32."
            )
        yield replace(batch, embedding=embedding, errors=errors)
