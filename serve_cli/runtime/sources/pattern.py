"""Names with wildcards: ``*``, ``?``, ``[ab]`` within a name, and ``**`` for any folders in between."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, NamedTuple

WILDCARDS = frozenset("*?[")
ANY_FOLDERS = "**"


class Pattern(NamedTuple):
    """A folder, and what is looked for below it: a part for each name of a path, the first one with a wildcard."""

    folder: Any
    parts: tuple[str, ...]

    @property
    def depth(self) -> int | None:
        """Names of a path that fits; None if any number may be."""
        return None if ANY_FOLDERS in self.parts else len(self.parts)

    def fits(self, path: str) -> bool:
        """Whether a path relative to the folder is looked for."""
        return _fits(self.parts, tuple(path.split("/")))

    def may_hold(self, path: str) -> bool:
        """Whether something that is looked for may lie in a folder, relative to the pattern's."""
        names = path.split("/")
        for part, name in zip(self.parts, names, strict=False):
            if part == ANY_FOLDERS:
                return True
            if not fnmatchcase(name, part):
                return False
        return len(names) < len(self.parts)


def to_pattern(place: Any) -> Pattern | None:
    """What a path or URL looks for if it is no file; None if it has no wildcards.

    A folder that exists is that folder, whatever characters its name has.
    """
    lineage = [place, *place.parents][::-1]
    for number, path in enumerate(lineage):
        if WILDCARDS.intersection(path.name) and not path.exists():
            return Pattern(path.parent, tuple(one.name for one in lineage[number:]))
    return None


def _fits(parts: tuple[str, ...], names: tuple[str, ...]) -> bool:
    if not parts:
        return not names
    if parts[0] == ANY_FOLDERS:
        rest = parts[1:] or ("*",)
        return any(_fits(rest, names[start:]) for start in range(len(names)))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _fits(parts[1:], names[1:])
