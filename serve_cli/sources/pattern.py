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
        return len(self._steps) in self._reached(path)

    def may_hold(self, path: str) -> bool:
        """Whether something that is looked for may lie in a folder, relative to the pattern's."""
        return any(number < len(self._steps) for number in self._reached(path))

    @property
    def _steps(self) -> tuple[str, ...]:
        """The parts; ``**`` at the end stands for any file below."""
        return (*self.parts, "*") if self.parts[-1] == ANY_FOLDERS else self.parts

    def _reached(self, path: str) -> set[int]:
        """How many steps the names of a path may have taken: all ways at once, as each name may be one of ``**``'s."""
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


def to_pattern(place: Any) -> Pattern | None:
    """What a path or URL looks for if it is no file; None if it has no wildcards.

    A folder that exists is that folder, whatever characters its name has.
    """
    lineage = [place, *place.parents][::-1]
    for number, path in enumerate(lineage):
        if WILDCARDS.intersection(path.name) and not path.exists():
            return Pattern(path.parent, tuple(one.name for one in lineage[number:]))
    return None


def _past_any_folders(reached: set[int], steps: tuple[str, ...]) -> set[int]:
    """With those that come after ``**``, which may stand for no folder at all."""
    for number, step in enumerate(steps):
        if number in reached and step == ANY_FOLDERS:
            reached.add(number + 1)
    return reached
