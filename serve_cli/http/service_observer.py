"""What a service reports, for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serve_cli.http.batching.job import StageMs


class ServiceObserver(Protocol):
    """Is notified of batches and reloads. It is called by several threads, possibly at the same time."""

    def images_admitted(self, count: int) -> None:
        """Record images that were queued. Each of them is reported once more, by one of the other methods."""

    def batch_done(self, times: Sequence[StageMs], failed: int) -> None:
        """Record a batch by the times of its images, and how many of them failed."""

    def image_failed(self) -> None:
        """Record an image that cannot be decoded."""

    def images_dropped(self, count: int) -> None:
        """Record images whose client left, or ran out of time, before they reached the network."""

    def reloaded(self, outcome: str) -> None:
        """Record a reload: ``"switched"`` or ``"kept"``."""


class Unobserved:
    """Records nothing."""

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
