"""Parts: the files that an embedding folder is made of, in one format or another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from serve_cli.sources.image_row import EmbeddedRows


@dataclass(frozen=True)
class Part:
    """One part: the name of its file of embeddings, its rows, and how many of them have no embedding."""

    file: str
    rows: int
    failed: int


class Parts(Protocol):
    """The parts of a folder in one format, by number."""

    def files(self) -> list[Path]:
        """All files of parts that are there."""

    def write(self, number: int, groups: Iterable[EmbeddedRows], claim: Callable[[], None]) -> Part:
        """Write a part; ``claim`` is called when it is complete, just before it is put in place. Raises `OSError`."""

    def read(self, number: int) -> Part | None:
        """What is there of a part; None if nothing is, or it is damaged."""
