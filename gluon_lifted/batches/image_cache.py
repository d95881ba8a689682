"""Cache decoded images while there is memory for them."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from gluon_lifted.hardware.memory import available_memory, usable_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

RESERVED_SHARE = 1 / 4  # of the usable memory: for the network, its activations and other programs
STEP_BYTES = 64 << 20  # cached between two measurements of memory


def room_for_images() -> int:
    """Return the bytes that caches may still take: the available memory minus the reserved share."""
    return int(available_memory() - RESERVED_SHARE * usable_memory())


class ImageCache:
    """Images by row of a table. Threads share it.

    It measures memory as it grows, so several caches, processes and hosts on one computer leave room for each other and
    for the network. No size has to be chosen.

    Parameters
    ----------
    room : callable
        Returns the bytes that may be taken now.
    """

    def __init__(self, room: Callable[[], int] = room_for_images) -> None:
        self._room, self._lock = room, Lock()
        self._images: dict[int, NDArray[np.uint8]] = {}
        self._granted, self._full = 0, False

    def get(self, row: int) -> NDArray[np.uint8] | None:
        """Return an image, or None if it is not kept."""
        return self._images.get(row)

    def add(self, row: int, image: NDArray[np.uint8]) -> None:
        """Keep an image. Nothing happens once memory was short."""
        with self._lock:
            if self._full:
                return
            if image.nbytes > self._granted:
                self._granted = min(STEP_BYTES, self._room())
            self._full = image.nbytes > self._granted
            if not self._full:
                self._granted -= image.nbytes
                self._images[row] = image
