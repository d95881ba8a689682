"""What fits a pattern with wildcards: tar shards, manifests or images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.errors import DataError
from serve_cli.sources.files import files_below
from serve_cli.sources.location import is_remote
from serve_cli.sources.manifest import manifest_source
from serve_cli.sources.named import images_of, named_source
from serve_cli.sources.object_store import names_in_store
from serve_cli.sources.passed_over import suffix_of
from serve_cli.sources.tables import READERS
from serve_cli.sources.tar import tar_source
from serve_cli.sources.walk import Wanted, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_cli.sources.manifest import Columns
    from serve_cli.sources.pattern import Pattern
    from serve_cli.sources.source import Source

KINDS_SHOWN = 5


def pattern_source(root: str, pattern: Pattern, columns: Columns) -> Source:
    """The tar shards, manifests of one kind, or images that fit, in the order of their whole paths.

    Raises
    ------
    DataError
        If nothing fits, or none of these.
    """
    names = matches(pattern)
    if not names:
        raise DataError(
            f"{root}: no such file or folder, and as a pattern it fits no file below {pattern.folder}. Hidden names "
            "are passed over; for files in the folders that fit, add '/*', or '/**' for all below them."
        )
    kinds = {suffix_of(name) for name in names}
    if kinds == {".tar"}:
        return tar_source(root, files_below(pattern.folder, names))
    if len(kinds) == 1 and kinds <= READERS.keys():
        return manifest_source(root, files_below(pattern.folder, names), columns)
    images, others = images_of(names)
    if images:
        return named_source(root, pattern.folder, images, others)
    raise DataError(
        f"{root}: none of what fits ({len(names):,}) is an image; found {' '.join(sorted(kinds)[:KINDS_SHOWN])}. "
        f"Give a pattern for images, or for one of .tar {' '.join(READERS)}."
    )


def matches(pattern: Pattern, others: Callable[[str], object] = lambda _: None) -> list[str]:
    """Names of files that fit, relative to the pattern's folder, in order; ``others`` is called with the others."""
    if is_remote(pattern.folder):
        names = names_in_store(pattern.folder, pattern.depth)
        for name in names:
            if not pattern.fits(name):
                others(name)
        return [name for name in names if pattern.fits(name)]
    if not pattern.folder.is_dir():
        return []
    return list(walk(pattern.folder, Wanted(pattern.fits, pattern.may_hold, others)))
