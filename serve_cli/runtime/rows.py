"""What flows through the pipeline: rows of images, and the same rows with embeddings."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gluon_lifted.redaction import url_without_credentials, value_without_credentials, without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.images.framing import Box


class Content(Protocol):
    """Reads an image's bytes."""

    def __call__(self, *, limit: int = ...) -> bytes: ...


@dataclass(frozen=True)
class ImageRow:
    """One image to embed.

    No text of a row holds credentials or signatures of URLs: rows are stored and printed. ``content`` knows them.

    Parameters
    ----------
    id : str
        Path relative to the source's root, with ``/``, or the id that a manifest gives; bytes that are not UTF-8 are
        written ``\\xff``.
    path : Path or str
        The file to open; where ``content`` is given, the URL, or the file that it lies in and its name there.
    label : str or None
        Name of its class, where that is known.
    box : tuple of 4 float, optional
        Left, top, right, bottom in pixels of the upright image: all that is used of it.
    content : callable, optional
        Reads the image's bytes, of which ``limit`` is the most; raises `ImageError`.
    extra : dict
        Further columns of its manifest.
    """

    id: str
    path: Path | str
    label: str | None = None
    box: Box | None = None
    content: Content | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named_by_path = self.id == self.path
        if isinstance(self.path, str):
            object.__setattr__(self, "path", url_without_credentials(self.path))
        name = str(self.path) if named_by_path else without_credentials(self.id)
        object.__setattr__(self, "id", name)
        object.__setattr__(self, "label", value_without_credentials(self.label))
        object.__setattr__(self, "extra", value_without_credentials(self.extra))


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


def regroup(batches: Iterable[EmbeddedRows], size: int) -> Iterator[EmbeddedRows]:
    """The same rows in the same order, ``size`` at a time; the last group may be shorter."""
    held: list[EmbeddedRows] = []
    num_held = 0
    for batch in batches:
        held.append(batch)
        num_held += len(batch.rows)
        while num_held >= size:
            group, rest = _split(_joined(held), size)
            held, num_held = [rest], len(rest.rows)
            yield group
    if num_held:
        yield _joined(held)


def _joined(batches: list[EmbeddedRows]) -> EmbeddedRows:
    return EmbeddedRows(
        list(chain.from_iterable(batch.rows for batch in batches)),
        np.concatenate([batch.embedding for batch in batches]),
        list(chain.from_iterable(batch.errors for batch in batches)),
    )


def _split(batch: EmbeddedRows, at: int) -> tuple[EmbeddedRows, EmbeddedRows]:
    return (
        EmbeddedRows(batch.rows[:at], batch.embedding[:at], batch.errors[:at]),
        EmbeddedRows(batch.rows[at:], batch.embedding[at:], batch.errors[at:]),
    )
