"""Source: image rows that can be gone through more than once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from gluon_lifted.redaction import url_without_credentials
from serve_cli.sources.location import below, name_of, to_location
from serve_cli.sources.passed_over import PassedOver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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


class Files(NamedTuple):
    """Files by name.

    Parameters
    ----------
    names : sequence of str
        Relative to the folder that they all lie below.
    at : callable
        The file of a name: a Path, or universal-pathlib's.
    """

    names: Sequence[str]
    at: Callable[[str], Any]


def one_file(location: Any) -> Files:
    return Files((name_of(location),), lambda _: location)


def files_below(folder: Any, names: Sequence[str]) -> Files:
    return Files(names, lambda name: to_location(below(folder, name)))


def one_after_another(
    names: Sequence[str],
    read: Callable[[str, int, int], Iterator[ImageRow]],
    count: Callable[[str], int | None] = lambda _: None,
) -> Callable[[int], Iterator[ImageRow]]:
    """The rows of files in their order.

    Parameters
    ----------
    names : sequence of str
    read : callable
        Of a file's name, the number of its first row among those of all files, and how many of its rows to pass over.
    count : callable, optional
        Number of rows of a file; None if all of them would have to be read for it.

    Returns
    -------
    callable
        The rows from a number on. Files before it are passed over if it is known how many rows they have: by ``count``,
        or because they were gone through before.
    """
    known: dict[str, int] = {}

    def rows(start: int = 0) -> Iterator[ImageRow]:
        first = 0
        for name in names:
            skip = max(start - first, 0)
            if skip and name not in known and (counted := count(name)) is not None:
                known[name] = counted
            size = known.get(name)
            if size is None or skip < size:
                number = 0 if size is None else skip
                for row in read(name, first, number):
                    if number >= skip:
                        yield row
                    number += 1
                known[name] = number
            first += known[name]

    return rows
