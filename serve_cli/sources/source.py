"""Source: image rows that can be iterated more than once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from gluon_lifted.redaction import url_without_credentials
from serve_cli.sources.location import below, name_of, to_location
from serve_cli.sources.passed_over import PassedOver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from serve_cli.sources.image_row import ImageRow
    from serve_cli.sources.location import Location


class ReadingMemory(NamedTuple):
    """Peak memory of reading a source, without the images that are being decoded.

    Parameters
    ----------
    bytes : int
        Peak while a file is read.
    where : str
        The file, and the part of it, with that peak.
    row_bytes : int
        Size of the further columns that each row keeps in memory.
    """

    bytes: int = 0
    where: str = ""
    row_bytes: int = 0


@dataclass(frozen=True)
class Source:
    """Image rows in a stable order, listed again each time.

    Parameters
    ----------
    root : Path or str
        An absolute path, an absolute pattern, or a URL without its credentials.
    listing : callable
        Returns a new iterator over the rows.
    extra : Schema
        Further columns that the rows carry.
    naming : callable, optional
        As ``listing``, without the images; for sources whose ``listing`` reads images, too.
    starting : callable, optional
        As ``listing``, from a row number on; for sources that can skip the rows before it.
    memory : callable, optional
        Returns the peak memory of reading the rows; for sources where that is large.
    passed_over : PassedOver
        Counts of skipped files. A folder has them once all its rows have been listed.
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
        """Iterate over the rows from number ``start`` on, counted from 0. Earlier rows are not read if possible."""
        if self.starting is not None:
            return self.starting(start)
        return islice(self.listing(), start, None)

    def names(self) -> Iterator[ImageRow]:
        """Iterate over the rows to name or count them, not to decode them."""
        return (self.naming or self.listing)()

    def count(self) -> int:
        """Count the rows without keeping them."""
        return sum(1 for _ in self.names())


def as_text(name: str | os.PathLike[str]) -> str:
    r"""Convert a file name to text that any file format can hold. Bytes that are not UTF-8 become ``\xff``."""
    return os.fsencode(name).decode(errors="backslashreplace")


class Files(NamedTuple):
    """The files of a source.

    Parameters
    ----------
    names : sequence of str
        Relative to a common folder.
    at : callable
        Takes a name and returns the file's location.
    """

    names: Sequence[str]
    at: Callable[[str], Location]


def one_file(location: Location) -> Files:
    """Return the single file of a source."""
    return Files((name_of(location),), lambda _: location)


def files_below(folder: Location, names: Sequence[str]) -> Files:
    """Return files by their names relative to a folder."""
    return Files(names, lambda name: to_location(below(folder, name)))


def one_after_another(
    names: Sequence[str],
    read: Callable[[str, int, int], Iterator[ImageRow]],
    count: Callable[[str], int | None] = lambda _: None,
) -> Callable[[int], Iterator[ImageRow]]:
    """Chain the rows of several files.

    Parameters
    ----------
    names : sequence of str
        Names of the files, in order.
    read : callable
        Takes a file's name, the number of its first row among the rows of all files, and how many of its rows to skip.
    count : callable, optional
        Returns a file's number of rows; None if that would require reading all of them.

    Returns
    -------
    callable
        Takes a row number and iterates over the rows from there on. Earlier files are skipped if their number of rows
        is known, from ``count`` or from an earlier iteration.
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
