"""What flows through the pipeline: rows of images, and the same rows with embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from gluon_lifted.images.framing import Box


@dataclass(frozen=True)
class ImageRow:
    """One image to embed.

    Parameters
    ----------
    id : str
        Path relative to the source's root, with ``/``; bytes that are not UTF-8 are written ``\\xff``.
    path : Path
        The file to open.
    label : str or None
        Name of its class, where that is known.
    box : tuple of 4 float, optional
        Left, top, right, bottom in pixels of the upright image: all that is used of it.
    """

    id: str
    path: Path
    label: str | None = None
    box: Box | None = None


@dataclass(frozen=True, eq=False)
class EmbeddedRows:
    """n rows with their embeddings.

    Parameters
    ----------
    rows : sequence of ImageRow
        n rows.
    embedding : ndarray, float32, (n, D)
        NaN in rows that have an error.
    errors : sequence of str or None
        n times: why the row has no embedding, or None.
    """

    rows: Sequence[ImageRow]
    embedding: NDArray[np.float32]
    errors: Sequence[str | None]
