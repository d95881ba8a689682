"""Several files of rows, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from serve_cli.sources.location import below, name_of, to_location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from serve_cli.sources.image_row import ImageRow


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


def one_file(place: Any) -> Files:
    return Files((name_of(place),), lambda _: place)


def files_below(folder: Any, names: Sequence[str]) -> Files:
    return Files(names, lambda name: to_location(below(folder, name)))


def one_after_another(
    names: Sequence[str],
    read: Callable[[str, int, int], Iterator[ImageRow]],
    count: Callable[[str], int] | None = None,
) -> Callable[[int], Iterator[ImageRow]]:
    """The rows of files in their order.

    Parameters
    ----------
    names : sequence of str
    read : callable
        Of a file's name, the number of its first row among those of all files, and how many of its rows to pass over.
    count : callable, optional
        Number of rows of a file, where it can be told without reading them.

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
            if skip and name not in known and count is not None:
                known[name] = count(name)
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
