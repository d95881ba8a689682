"""What flows through the pipeline: rows of images, and the same rows with embeddings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
        Path relative to the source's root, with ``/``, or the id that a manifest gives; bytes that are not UTF-8 are
        written ``\\xff``.
    path : Path
        The file to open; where ``content`` is given, the file that it lies in, and its name there.
    label : str or None
        Name of its class, where that is known.
    box : tuple of 4 float, optional
        Left, top, right, bottom in pixels of the upright image: all that is used of it.
    content : callable, optional
        Reads the image's bytes; raises `ImageError`.
    extra : dict
        Further columns of its manifest.
    """

    id: str
    path: Path
    label: str | None = None
    box: Box | None = None
    content: Callable[[], bytes] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


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
