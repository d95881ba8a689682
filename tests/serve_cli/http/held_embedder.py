"""An embedder whose network can be held, so that tests decide what waits when it becomes free."""

from __future__ import annotations

import threading

import numpy as np

from gluon_lifted.errors import DeviceError
from serve_cli import Embedder, ModelOptions

POISON = 255  # the first value of an image that breaks the network


class HeldEmbedder:
    """Delegates to an `Embedder` once ``free`` is set; keeps the sizes of the batches."""

    def __init__(self, model, lanes=1, threads=2, batch_size=4):
        self.real = Embedder(model, ModelOptions(threads=1, sessions=1, cache=False))
        self.card, self.model, self.lanes, self.threads, self.batch_size = (
            self.real.card,
            self.real.model,
            lanes,
            threads,
            batch_size,
        )
        self.free, self.entered = threading.Event(), threading.Semaphore(0)
        self.batches = []

    def embed(self, pixels):
        self.entered.release()
        assert self.free.wait(20)
        self.batches.append(pixels.copy())
        if (pixels[:, 0, 0, 0] == POISON).any():
            raise DeviceError("the network failed.")
        return self.real.embed(pixels)

    @property
    def sizes(self):
        return [len(batch) for batch in self.batches]


class Counts:
    """An observer that adds up."""

    def __init__(self):
        self.admitted = self.embedded = self.failed = self.dropped = 0
        self.lock = threading.Lock()

    def images_admitted(self, count):
        with self.lock:
            self.admitted += count

    def batch_done(self, times, failed):
        with self.lock:
            self.embedded += len(times) - failed
            self.failed += failed

    def image_failed(self):
        with self.lock:
            self.failed += 1

    def images_dropped(self, count):
        with self.lock:
            self.dropped += count

    def reloaded(self, outcome):
        raise AssertionError(outcome)


def squares(*values, crop=16):
    """Images of one color each, uint8 (N, crop, crop, 3)."""
    return np.stack([np.full((crop, crop, 3), value, np.uint8) for value in values])
