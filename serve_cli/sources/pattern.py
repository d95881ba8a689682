"""Patterns, and the source of the files that match: tar shards, tables of one kind, or images.

``*``, ``?`` and ``[ab]`` match characters within a name, and ``**`` matches any folders in between.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.errors import DataError
from serve_cli.sources.file_kinds import FILE_KINDS
from serve_cli.sources.folder import named_source
from serve_cli.sources.location import is_remote
from serve_cli.sources.network.object_store import names_in_store
from serve_cli.sources.passed_over import images_of, suffix_of
from serve_cli.sources.source import files_below
from serve_cli.sources.walk import Wanted, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_cli.sources.location import Location
    from serve_cli.sources.source import Source
    from serve_cli.sources.tables.columns import Columns


WILDCARDS = frozenset("*?[")
ANY_FOLDERS = "**"


class Pattern(NamedTuple):
    """A folder, and the parts that the names of a path below it must match. The first part has a wildcard."""

    folder: Location
    parts: tuple[str, ...]

    @property
    def depth(self) -> int | None:
        """Number of names in a matching path, or None if any number can match."""
        return None if ANY_FOLDERS in self.parts else len(self.parts)

    def fits(self, path: str) -> bool:
        """Whether a path relative to the folder matches."""
        return len(self._steps) in self._reached(path)

    def may_hold(self, path: str) -> bool:
        """Whether a folder, relative to the pattern's, may contain matching paths."""
        return any(number < len(self._steps) for number in self._reached(path))

    @property
    def _steps(self) -> tuple[str, ...]:
        """The parts. ``**`` at the end matches any file below."""
        return (*self.parts, "*") if self.parts[-1] == ANY_FOLDERS else self.parts

    def _reached(self, path: str) -> set[int]:
        """Compute the set of steps that the names of a path can reach. ``**`` makes several possible."""
        steps = self._steps
        reached = _past_any_folders({0}, steps)
        for name in path.split("/"):
            taken = set()
            for number in reached:
                if number < len(steps):
                    if steps[number] == ANY_FOLDERS:
                        taken.add(number)
                    elif fnmatchcase(name, steps[number]):
                        taken.add(number + 1)
            reached = _past_any_folders(taken, steps)
        return reached


def to_pattern(location: Location) -> Pattern | None:
    """Convert a path or URL that is not a file to a pattern, or return None if it has no wildcards.

    A name with wildcard characters is taken literally if a folder of that name exists.
    """
    lineage = [location, *location.parents][::-1]
    for number, path in enumerate(lineage):
        if WILDCARDS.intersection(path.name) and not path.exists():
            return Pattern(path.parent, tuple(part.name for part in lineage[number:]))
    return None


def _past_any_folders(reached: set[int], steps: tuple[str, ...]) -> set[int]:
    """Add the states after each ``**``, since ``**`` also matches no folder."""
    for number, step in enumerate(steps):
        if number in reached and step == ANY_FOLDERS:
            reached.add(number + 1)
    return reached


KINDS_SHOWN = 5


def pattern_source(root: str, pattern: Pattern, columns: Columns) -> Source:
    """Open the tar shards, tables of one kind, or images that match, in the order of their whole paths.

    Raises
    ------
    DataError
        If nothing matches, or the matching files are none of these.
    """
    names = matches(pattern)
    if not names:
        raise DataError(
            f"{root}: no such file or folder, and as a pattern it matches no file below {pattern.folder}. Hidden names "
            "are skipped. For files in the matching folders add '/*', for all files below them add '/**'."
        )
    suffixes = sorted({suffix_of(name) for name in names})
    kind = FILE_KINDS.get(suffixes[0]) if len(suffixes) == 1 else None
    if kind is not None and kind.several:
        return kind.open(root, files_below(pattern.folder, names), columns)
    images, others = images_of(names)
    if images:
        return named_source(root, pattern.folder, images, others)
    raise DataError(
        f"{root}: none of the {len(names):,} matching files is an image; found {' '.join(suffixes[:KINDS_SHOWN])}. "
        "Give a pattern for images, or for one of "
        f"{' '.join(kind.suffix for kind in FILE_KINDS.values() if kind.several)}."
    )


def matches(pattern: Pattern, others: Callable[[str], object] = lambda _: None) -> list[str]:
    """List the matching files relative to the pattern's folder, in order, and call ``others`` with each other name."""
    if is_remote(pattern.folder):
        names = names_in_store(pattern.folder, pattern.depth)
        for name in names:
            if not pattern.fits(name):
                others(name)
        return [name for name in names if pattern.fits(name)]
    if not pattern.folder.is_dir():
        return []
    return list(walk(pattern.folder, Wanted(pattern.fits, pattern.may_hold, others)))
