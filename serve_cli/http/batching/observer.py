"""What a batcher reports, for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serve_cli.http.batching.job import StageMs


class BatchObserver(Protocol):
    """Is told of each batch. It is called by the threads of the batcher, possibly several at a time."""

    def batch_done(self, times: Sequence[StageMs]) -> None:
        """Take note of a batch by the times of its images."""

    def images_dropped(self, count: int) -> None:
        """Take note of images whose client left, or ran out of time, before they reached the network."""


class Unobserved:
    """Takes note of nothing."""

    def batch_done(self, times: Sequence[StageMs]) -> None:
        """Do nothing."""

    def images_dropped(self, count: int) -> None:
        """Do nothing."""
