"""Divide the memory of a server process between the network, bodies of requests and images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.memory import resident_memory, return_large_blocks, usable_memory
from gluon_lifted.images import DecodeLimits
from serve_cli.http.batching.errors import QueueFullError

if TYPE_CHECKING:
    from serve_cli.http.serve_options import ServeOptions
    from serve_cli.model.embedder import Embedder

LEAST = 64 << 20  # for bodies and images
BODIES_SHARE, PIXELS_SHARE = 0.4, 0.4  # of the memory for requests; replies and allocators keep the rest
BODY_COPIES = 3  # as received, as JSON's text, decoded from base64
ROUND_MB = 50


@dataclass
class ServiceMemory:
    """How much memory requests may take.

    Parameters
    ----------
    most_body_bytes : int
        All bodies together.
    decoding : DecodeLimits
        All images that are decoded at the same time.
    """

    most_body_bytes: int
    decoding: DecodeLimits
    _body_bytes: int = field(default=0, init=False)

    def take_body(self, size: int) -> None:
        """Count bytes of a body. Raises `QueueFullError` if all bodies together are too large."""
        if self._body_bytes + size > self.most_body_bytes:
            raise QueueFullError(
                "the server is busy: bodies of requests take "
                f"{self._body_bytes / 1e6:,.0f} of {self.most_body_bytes / 1e6:,.0f} MB; try again in 1 s."
            )
        self._body_bytes += size

    def release_body(self, size: int) -> None:
        """Stop counting the bytes of a body."""
        self._body_bytes -= size

    @classmethod
    def divide(cls, options: ServeOptions, embedder: Embedder) -> ServiceMemory:
        """Run a batch in every lane to measure the network's memory, and divide the rest.

        Raises
        ------
        ConfigError
            If too little is left.
        """
        return_large_blocks()
        limit = options.max_memory or usable_memory() // 2 // options.workers
        crop = embedder.card.preprocessing.crop
        pixels = np.zeros((embedder.batch_size, crop, crop, 3), np.uint8)
        with ThreadPoolExecutor(embedder.lanes) as pool:
            list(pool.map(embedder.embed, [pixels] * embedder.lanes))
        taken = resident_memory() + options.max_waiting * crop * crop * 3
        room = limit - taken
        if room < LEAST:
            enough = ROUND_MB * -(-(taken + LEAST) // (ROUND_MB * 1_000_000))
            raise ConfigError(
                f"{limit / 1e6:,.0f} MB of memory is too little: the network takes {taken / 1e6:,.0f} MB, and requests "
                f"need at least {LEAST / 1e6:,.0f} MB. Give --max-memory {enough}MB or more, or a smaller --batch-size."
            )
        return cls(
            int(BODIES_SHARE * room / BODY_COPIES), DecodeLimits(options.limits.pixels, int(PIXELS_SHARE * room))
        )
