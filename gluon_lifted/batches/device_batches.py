"""Batches in the memory of the devices, one batch ahead of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.mx import mx, nd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.batches.loader import Batch


class DeviceBatch(NamedTuple):
    """A `Batch` divided among devices.

    ``images`` holds an array (b_i, 3, crop, crop) float32 per device, at most one per image; ``labels`` (B,) float32
    of the whole batch are on the first device. The host's images are rows ``start``, ``start + 1`` ... of B.
    """

    images: list[Any]
    labels: Any
    start: int


def to_devices(batch: Batch, devices: list[Any]) -> DeviceBatch:
    """Copy a batch to the devices, an equal share of its images to each."""
    shares = np.array_split(batch.images, len(devices))
    return DeviceBatch(
        [_to_device(share, device) for share, device in zip(shares, devices, strict=True) if len(share)],
        _to_device(batch.labels, devices[0]),
        batch.start,
    )


def copied_ahead(batches: Iterable[Batch], devices: list[Any]) -> Iterator[DeviceBatch]:
    """Copy each batch to the devices before the previous one is used, so that GPUs receive it while they compute."""
    ready: DeviceBatch | None = None
    for batch in batches:
        next_batch = to_devices(batch, devices)
        if ready is not None:
            yield ready
        ready = next_batch
    if ready is not None:
        yield ready


def _to_device(array: NDArray[Any], device: Any) -> Any:
    """Copy to a device as float32. Copies from pinned memory to a GPU need not wait for each other."""
    if device.device_type == "gpu":
        return nd.array(array, ctx=mx.cpu_pinned(device.device_id)).as_in_context(device)
    return nd.array(array, ctx=device)
