"""Prometheus metrics. Those of several processes are added up if ``PROMETHEUS_MULTIPROC_DIR`` names a folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serve_cli.http.batching.job import StageMs

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
EXPOSITION = CONTENT_TYPE_LATEST
MS = 1000.0


class Metrics:
    """The metrics of a process, which are also the observer of its batchers."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "lifted_requests", "Requests, by route and status.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "lifted_request_seconds", "Time to answer a request.", ["route"], registry=registry, buckets=SECONDS
        )
        stages = Histogram(
            "lifted_stage_seconds",
            "Time of a stage: decode, wait for the network, network.",
            ["stage"],
            registry=registry,
            buckets=SECONDS,
        )
        self._decode, self._wait, self._network = map(stages.labels, ("decode", "wait", "network"))
        self._batch = Histogram("lifted_batch_images", "Images in a batch.", registry=registry, buckets=IMAGES)
        images = Counter("lifted_images", "Images, by outcome.", ["outcome"], registry=registry)
        self._admitted, self._embedded, self._failed, self._dropped = map(
            images.labels, ("admitted", "embedded", "failed", "dropped")
        )
        self._queue = Gauge(
            "lifted_queue_images",
            "Images waiting for the network.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._in_flight = Gauge(
            "lifted_requests_in_flight", "Requests without a reply yet.", registry=registry, multiprocess_mode="livesum"
        )
        self._reloads = Counter(
            "lifted_reloads", "Reloads of model and index, by outcome.", ["outcome"], registry=registry
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def request_started(self) -> None:
        """Count a request that arrived."""
        self._in_flight.inc()

    def request_done(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered, or whose client left (status 499)."""
        self._in_flight.dec()
        children = self._children.get((route, status))
        if children is None:
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._children[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def images_admitted(self, count: int) -> None:
        """Count images that were queued."""
        self._admitted.inc(count)
        self._queue.inc(count)

    def batch_done(self, times: Sequence[StageMs], failed: int) -> None:
        """Count a batch by the times of its images, and how many of them failed."""
        self._batch.observe(len(times))
        self._network.observe(times[0].network / MS)
        for image in times:
            self._decode.observe(image.decode / MS)
            self._wait.observe(image.wait / MS)
        self._embedded.inc(len(times) - failed)
        if failed:
            self._failed.inc(failed)
        self._queue.dec(len(times))

    def image_failed(self) -> None:
        """Count an image that cannot be decoded."""
        self._failed.inc()
        self._queue.dec()

    def images_dropped(self, count: int) -> None:
        """Count images whose client left, or ran out of time, before they reached the network."""
        self._dropped.inc(count)
        self._queue.dec(count)

    def reloaded(self, outcome: str) -> None:
        """Count a reload: ``"switched"`` or ``"kept"``."""
        self._reloads.labels(outcome).inc()

    def exposition(self) -> bytes:
        """Return the metrics of all processes in Prometheus's text format."""
        if FOLDER not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library does not annotate it
        return generate_latest(registry)
