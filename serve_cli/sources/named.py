"""Images that are known by their names."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from gluon_lifted.images import IMAGE_SUFFIXES
from serve_cli.sources.location import below, file_stamp, image_at
from serve_cli.sources.passed_over import PassedOver, suffix_of
from serve_cli.sources.source import Source, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from serve_cli.sources.image_row import ImageRow


def is_image(name: str) -> bool:
    return suffix_of(name) in IMAGE_SUFFIXES


def named_row(folder: Any, name: str, labeled: bool) -> ImageRow:
    """The row of a name relative to a folder; ``labeled`` with the first sub-folder."""
    text = as_text(name)
    return image_at(text, below(folder, name), text.split("/", 1)[0] if labeled else None)


def named_source(root: Path | str, folder: Any, names: Sequence[str], passed_over: PassedOver) -> Source:
    """Images below a folder, in the order of their names. If all lie in sub-folders, the first one is their label."""
    labeled = all("/" in name for name in names)

    def listing(start: int = 0) -> Iterator[ImageRow]:
        return (named_row(folder, name, labeled) for name in islice(names, start, None))

    return Source(root, listing, naming=lambda: with_stamps(listing()), starting=listing, passed_over=passed_over)


def with_stamps(rows: Iterable[ImageRow]) -> Iterator[ImageRow]:
    """Rows with size and modification time of their files: they were listed a moment ago, so that it costs little."""
    return (replace(row, stamp=file_stamp(row.path)) if row.content is None else row for row in rows)


def images_of(names: Iterable[str]) -> tuple[list[str], PassedOver]:
    """Those names that are images', and a count of the others."""
    images, others = [], PassedOver()
    for name in names:
        if is_image(name):
            images.append(name)
        else:
            others.add(name)
    return images, others
