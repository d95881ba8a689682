"""Count the files that a source skips, by suffix."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from gluon_lifted.images import IMAGE_SUFFIXES, MISSING_PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN_FOLDERS = frozenset({"__MACOSX"})  # macOS adds it to archives, with a hidden file for each real one
MOST_SUFFIXES, MOST_CHARACTERS = 1000, 16  # a folder may have any number of suffixes, of any length
OTHERS = "others"
SHOWN = 8


def is_hidden(name: str) -> bool:
    """Whether to skip a file or folder of this name without counting it, as shells do."""
    return name.startswith(".") or name in HIDDEN_FOLDERS


def suffix_of(name: str) -> str:
    """Return the suffix of a name in lower case."""
    return os.path.splitext(name)[1].lower()


class PassedOver:
    """Counts names by suffix.

    Attributes
    ----------
    counts : Counter
        Suffix -> number of files. The empty suffix stands for names without a suffix, ``"others"`` for suffixes that
        are long, not printable, or beyond the first thousand.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Count one file."""
        suffix = suffix_of(name)
        plain = len(suffix) <= MOST_CHARACTERS and suffix.isprintable()
        known = suffix in self.counts or len(self.counts) < MOST_SUFFIXES
        self.counts[suffix if plain and known else OTHERS] += 1

    def by_suffix(self) -> dict[str, int]:
        """Return the counts, the most frequent suffix first."""
        return dict(sorted(self.counts.items(), key=lambda item: (-item[1], item[0])))


def passed_over_text(by_suffix: dict[str, int]) -> str:
    """Format counts: ``12 .heic (pip install pillow-heif), 3 .pdf, 1 without a suffix``; empty if there are none."""
    # Files that another package could read come first.
    ordered = sorted(by_suffix.items(), key=lambda item: item[0] not in MISSING_PACKAGES)
    parts = [_part(suffix, count) for suffix, count in ordered[:SHOWN]]
    if rest := sum(count for _, count in ordered[SHOWN:]):
        parts.append(f"{rest:,} with other suffixes")
    return ", ".join(parts)


def _part(suffix: str, count: int) -> str:
    if not suffix:
        return f"{count:,} without a suffix"
    if suffix == OTHERS:
        return f"{count:,} with other suffixes"
    package = MISSING_PACKAGES.get(suffix)
    return f"{count:,} {suffix}" + (f" (pip install '{package}')" if package else "")


def is_image(name: str) -> bool:
    """Whether a name has the suffix of an image format."""
    return suffix_of(name) in IMAGE_SUFFIXES


def images_of(names: Iterable[str]) -> tuple[list[str], PassedOver]:
    """Split names into image names and a count of the others."""
    images, others = [], PassedOver()
    for name in names:
        if is_image(name):
            images.append(name)
        else:
            others.add(name)
    return images, others
