"""What a service reports, for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serve_cli.http.batching.job import StageMs


class ServiceObserver(Protocol):
    """Is told of batches and reloads. It is called by several threads, possibly at the same time."""

    def images_admitted(self, count: int) -> None:
        """Take note of images that were queued. Each of them is reported once more, by one of the other methods."""

    def batch_done(self, times: Sequence[StageMs], failed: int) -> None:
        """Take note of a batch by the times of its images, and how many of them failed."""

    def image_failed(self) -> None:
        """Take note of an image that cannot be decoded."""

    def images_dropped(self, count: int) -> None:
        """Take note of images whose client left, or ran out of time, before they reached the network."""

    def reloaded(self, outcome: str) -> None:
        """Take note of a reload: ``"switched"`` or ``"kept"``."""


class Unobserved:
    """Takes note of nothing."""

    def images_admitted(self, count: int) -> None:
        """Do nothing."""

    def batch_done(self, times: Sequence[StageMs], failed: int) -> None:
        """Do nothing."""

    def image_failed(self) -> None:
        """Do nothing."""

    def images_dropped(self, count: int) -> None:
        """Do nothing."""

    def reloaded(self, outcome: str) -> None:
        """Do nothing."""
