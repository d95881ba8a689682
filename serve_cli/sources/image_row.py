"""The data of the pipeline: rows of images, and rows with embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gluon_lifted.errors import ImageError
from gluon_lifted.redaction import (
    url_without_credentials,
    value_without_credentials,
    without_credentials,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from gluon_lifted.images.framing import Box

MAX_IMAGE_BYTES = 1 << 29


class Content(Protocol):
    """Reads an image's bytes."""

    def __call__(self, *, limit: int = ...) -> bytes:
        """Return the bytes. Raises `ImageError` if they cannot be read, or are more than ``limit``."""
        ...


class Cell:
    """One value of an Arrow column, kept in Arrow because Python has no objects for some of Arrow's values.

    Parameters
    ----------
    column : Array
        Stays in memory as long as the value.
    index : int
        Position of the value in the column.
    """

    __slots__ = ("column", "index")

    def __init__(self, column: pa.Array, index: int) -> None:
        self.column, self.index = column, index

    def as_py(self) -> Any:
        """Convert to a Python object. Raises `OverflowError` or `ValueError` if Python has none for the value."""
        return self.column[self.index].as_py()

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is the same value, in Arrow or as Python has it."""
        return repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        try:
            return repr(self.as_py())
        except (OverflowError, ValueError):  # e.g. dates beyond the year 9999
            return str(self.column.slice(self.index, 1).to_string(window=1 << 20))


class HeldImage:
    """An image that came with its row, as a `Content`.

    Parameters
    ----------
    content : bytes or None
        The image's file; None if the row has no image.
    name : str
        Name of the image in errors.
    """

    __slots__ = ("_content", "_name", "size")

    def __init__(self, content: bytes | None, name: str = "") -> None:
        self._content, self._name, self.size = content, name, len(content or b"")

    def __call__(self, *, limit: int = MAX_IMAGE_BYTES) -> bytes:
        """Return the bytes. Raises `ImageError` if there are none, or more than ``limit``."""
        if self._content is None:
            raise ImageError(f"{self._name}: has neither a path nor an image.")
        if self.size > limit:
            raise ImageError(f"{self._name}: {self.size:,} bytes are more than the limit of {limit:,}.")
        return self._content

    def emptied(self) -> HeldImage:
        """Return a copy without the bytes, for a row whose image is no longer needed."""
        return HeldImage(None, self._name)


@dataclass(frozen=True)
class ImageRow:
    r"""One image to embed.

    Texts of a row hold no credentials or signatures of URLs, because rows are stored and printed. Only ``content`` has
    them.

    Parameters
    ----------
    id : str
        Path relative to the source's root, with ``/``, or the id from a manifest. Bytes that are not UTF-8 are written
        as ``\xff``.
    path : Path or str
        The file to open. With ``content``: the URL, or the containing file and the image's name in it.
    label : str or None
        Name of the image's class; None if unknown.
    box : tuple of 4 float, optional
        Left, top, right, bottom in pixels of the upright image. Only this part of the image is used.
    content : callable, optional
        Reads the image's bytes, at most ``limit``. Raises `ImageError`.
    extra : dict
        Further columns of the manifest, by name: a `Cell`, or a Python object.
    stamp : tuple of int
        Size and modification time of the file with the image, and the image's position in it. Empty where the source
        would need extra requests for them.
    """

    id: str
    path: Path | str
    label: str | None = None
    box: Box | None = None
    content: Content | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    stamp: tuple[int, ...] = ()

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
    rows : sequence of ImageRow, (n,)
        In the order of the source.
    embedding : ndarray, float32, (n, D)
        NaN in rows that have an error.
    errors : sequence of str or None, (n,)
        Why a row has no embedding.
    """

    rows: Sequence[ImageRow]
    embedding: NDArray[np.float32]
    errors: Sequence[str | None]


@dataclass(frozen=True, eq=False)
class EmbeddedImage:
    """An image with its embedding.

    Parameters
    ----------
    name : str
        The image's path; a few words for an image without one.
    embedding : ndarray, float32, (D,)
        NaN if there is an error.
    error : str or None
        Why the image has no embedding.
    """

    name: str
    embedding: NDArray[np.float32]
    error: str | None


def regroup(batches: Iterable[EmbeddedRows], size: int, most_carried_bytes: float = math.inf) -> Iterator[EmbeddedRows]:
    """Regroup rows in groups of ``size``, in order. Groups are smaller where rows carry too much, and at the end."""
    held: list[EmbeddedRows] = []
    num_held, columns = 0, dict[int, int]()
    for batch in batches:
        held.append(batch)
        num_held += len(batch.rows)
        columns |= _carried_bytes(batch)
        while num_held >= size:
            group, rest = _split(_joined(held), size)
            held, num_held, columns = [rest], len(rest.rows), _carried_bytes(rest)
            yield group
        if sum(columns.values()) >= most_carried_bytes and num_held:
            yield _joined(held)
            held, num_held, columns = [], 0, {}
    if num_held:
        yield _joined(held)


def _carried_bytes(batch: EmbeddedRows) -> dict[int, int]:
    """Compute the bytes of the Arrow columns that rows keep in memory. A single value keeps its whole column."""
    cells = (value for row in batch.rows for value in row.extra.values() if isinstance(value, Cell))
    columns = {id(cell.column): cell.column for cell in cells}
    return {key: column.nbytes for key, column in columns.items()}


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
