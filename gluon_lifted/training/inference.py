"""Compute a network's outputs for many images on all devices of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.batches.device_batches import copied_ahead
from gluon_lifted.training.precision import as_float32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.batches.loader import Batch

BATCH = 32  # images that are embedded at a time


def infer(
    batches: Iterable[Batch], devices: list[Any], compute: Callable[[Any], tuple[Any, ...]]
) -> Iterator[tuple[NDArray[np.float32], ...]]:
    """Yield the outputs of each batch, in order, while the devices compute the next batch.

    Parameters
    ----------
    batches : iterable of Batch
        Divided among the devices.
    devices : list of mx.Context
        The network must be on all of them.
    compute : callable
        Images (n, 3, H, W) -> outputs (n, ...).
    """
    computing: list[tuple[Any, ...]] = []  # of each device
    for batch in copied_ahead(batches, devices):
        queued = [tuple(map(as_float32, compute(images))) for images in batch.images]
        if computing:
            yield _to_host(computing)
        computing = queued
    if computing:
        yield _to_host(computing)


def _to_host(outputs: list[tuple[Any, ...]]) -> tuple[NDArray[np.float32], ...]:
    return tuple(np.concatenate([share.asnumpy() for share in shares]) for shares in zip(*outputs, strict=True))
