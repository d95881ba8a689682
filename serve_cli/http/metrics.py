"""Prometheus metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serve_cli.http.batching.job import StageMs


class Metrics:
    """Counters of a process."""

    def batch_done(self, times: Sequence[StageMs]) -> None:
        """Take note of a batch by the times of its images."""

    def images_dropped(self, count: int) -> None:
        """Take note of images whose client left, or ran out of time, before they reached the network."""
