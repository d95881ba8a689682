"""Cluster: sums over hosts, and operations built on them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

BROADCAST_CHUNK = 1 << 20  # float64 numbers, 8 MiB: the server keeps a buffer of this size permanently


class Cluster:
    """A single host. For several hosts, a subclass overrides `all_sum`. Everything else builds on it.

    Every host must make the same calls in the same order, with the same names and shapes.

    Attributes
    ----------
    size, index : int
        Number of hosts, and rank of this host.
    """

    size, index = 1, 0

    @property
    def is_writer(self) -> bool:
        """Whether this is the host that writes the run folder."""
        return self.index == 0

    def all_sum(self, name: str, array: Any) -> Any:
        """Sum the arrays of all hosts elementwise. A single host gets its array back.

        Every host gets the same bits. With three or more hosts the order of addition, and so the rounding, depends
        on which host comes first. The call waits for the other hosts.

        Parameters
        ----------
        name : str
            Identifies the sum. Each name and shape keeps buffers of the array's size.
        array : mx.nd.NDArray, float32 or float64
            Not empty, because MXNet has no empty arrays. Not modified. The sum is a new array in the same context.

        Raises
        ------
        TypeError
            If the array is of another dtype.
        RunError
            If a host has ended, is silent, or does not make the call.
        """
        del name
        return array

    def all_sum_many(self, name: str, arrays: Sequence[Any]) -> list[Any]:
        """Sum several arrays of one dtype and context in one exchange. The sums share memory."""
        if self.size == 1 or not arrays:
            return list(arrays)
        from gluon_lifted.mx import nd

        total = self.all_sum(name, nd.concat(*(array.reshape((-1,)) for array in arrays), dim=0))
        ends = np.cumsum([array.size for array in arrays])
        return [
            total[int(end) - array.size : int(end)].reshape(array.shape)
            for array, end in zip(arrays, ends, strict=True)
        ]

    def broadcast(self, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the writer's arrays on every host.

        Parameters
        ----------
        state : mapping of str to ndarray
            Numbers that float64 holds exactly. Other hosts pass arrays of the same names, shapes and dtypes.

        Raises
        ------
        ConfigError
            If names, shapes or dtypes differ between hosts.
        """
        if self.size == 1:
            return dict(state)
        self.require_same("network", repr([(name, array.shape, array.dtype.str) for name, array in state.items()]))
        from gluon_lifted.mx import nd

        flat = np.concatenate([np.zeros(0), *(array.ravel() for array in state.values())]).astype(np.float64)
        for start in range(0, len(flat), BROADCAST_CHUNK):
            part = flat[start : start + BROADCAST_CHUNK]  # a view
            sent = np.zeros(BROADCAST_CHUNK)
            if self.is_writer:
                sent[: len(part)] = part
            part[:] = self.all_sum("broadcast", nd.array(sent, dtype=np.float64)).asnumpy()[: len(part)]
        parts = np.split(flat, np.cumsum([array.size for array in state.values()]))
        return {
            name: part.astype(array.dtype).reshape(array.shape)
            for (name, array), part in zip(state.items(), parts[:-1], strict=True)
        }

    def any(self, name: str, *, flag: bool) -> bool:
        """Return whether the flag is set on any host."""
        if self.size == 1:
            return flag
        from gluon_lifted.mx import nd

        return bool(self.all_sum(name, nd.array([flag])).asscalar())

    def barrier(self) -> None:
        """Wait until all hosts have made this call."""
        self.any("barrier", flag=False)

    def require_same(self, what: str, text: str) -> None:
        """Raise `ConfigError` on every host unless all pass the same ``text``. ``what`` names it in the message."""
        if self.size == 1:
            return
        from gluon_lifted.mx import nd

        digests = np.zeros((self.size, hashlib.sha256().digest_size), np.float32)
        digests[self.index] = list(hashlib.sha256(text.encode()).digest())
        digests = self.all_sum("digest", nd.array(digests)).asnumpy()
        differs = np.flatnonzero((digests != digests[0]).any(axis=1))
        if len(differs):
            raise HostsDifferError(
                f"host {differs[0]} and host 0 differ in {what}. "
                "Run the same command, with the same data and the same versions, on every host."
            )


class HostsDifferError(ConfigError):
    """Raised on all hosts at once, so that they can leave the cluster in order."""


ALONE = Cluster()
