"""Source: image rows that can be gone through more than once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from gluon_lifted.redaction import url_without_credentials
from serve_cli.sources.passed_over import PassedOver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serve_cli.sources.image_row import ImageRow


class ReadingMemory(NamedTuple):
    """What reading a source takes at most, beside the images that are being decoded.

    Parameters
    ----------
    bytes : int
    where : str
        The file, and the place in it, that takes so much.
    row_bytes : int
        What a row carries along.
    """

    bytes: int = 0
    where: str = ""
    row_bytes: int = 0


@dataclass(frozen=True)
class Source:
    """Image rows in a stable order, listed anew each time.

    Parameters
    ----------
    root : Path or str
        What the rows come from: an absolute path, or the text of an absolute pattern or a URL without
        its credentials.
    listing : callable
        Starts going through the rows.
    extra : Schema
        Columns that the rows carry beside those that all have.
    naming : callable, optional
        The same rows without their images, where listing reads those along with them.
    starting : callable, optional
        As listing, from the row of a number on; for sources that need not go through all rows before it.
    memory : callable, optional
        What going through the rows takes at most, where that is much.
    passed_over : PassedOver
        Files that are no images by their suffixes. A folder knows them once its rows have all been listed.
    """

    root: Path | str
    listing: Callable[[], Iterator[ImageRow]]
    extra: pa.Schema = field(default_factory=lambda: pa.schema([]))
    naming: Callable[[], Iterator[ImageRow]] | None = None
    starting: Callable[[int], Iterator[ImageRow]] | None = None
    memory: Callable[[], ReadingMemory] | None = None
    passed_over: PassedOver = field(default_factory=PassedOver)

    def __post_init__(self) -> None:
        if isinstance(self.root, str):
            object.__setattr__(self, "root", url_without_credentials(self.root))

    def __iter__(self) -> Iterator[ImageRow]:
        return self.listing()

    def rows(self, start: int = 0) -> Iterator[ImageRow]:
        """The rows from number ``start`` on, counted from 0; those before it are not read where that can be avoided."""
        if self.starting is not None:
            return self.starting(start)
        return islice(self.listing(), start, None)

    def names(self) -> Iterator[ImageRow]:
        """The rows, to be named and counted and not to be decoded."""
        return (self.naming or self.listing)()

    def count(self) -> int:
        """Number of rows; keeps nothing."""
        return sum(1 for _ in self.names())


def as_text(name: str | os.PathLike[str]) -> str:
    """A file name as text that any file format can hold; bytes that are not UTF-8 become ``\\xff``."""
    return os.fsencode(name).decode(errors="backslashreplace")
