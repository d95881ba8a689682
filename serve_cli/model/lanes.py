"""Lanes: what one batch goes through onnxruntime in. A model has several where batches go side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gluon_lifted.contract import EMBEDDING_OUTPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Lane(Protocol):
    """One batch at a time."""

    session: Any

    def run(self, feed: NDArray[Any]) -> NDArray[Any]:
        """The network's input for N images -> its output, (N, D)."""


class Memory(Protocol):
    """The calls of a GPU that `GpuLane` needs (`serve_cli.model.cuda`); tests have a stand-in."""

    device: str  # what onnxruntime calls it

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Host memory that the GPU copies from and to by itself."""

    def allocate(self, size: int) -> int:
        """The address of ``size`` bytes on the GPU."""

    def stream(self) -> Any:
        """A queue of work that runs beside others."""

    def copy_in(self, address: int, source: NDArray[Any], stream: Any) -> None:
        """Host to GPU; returns when it is done, and holds up no other stream nor thread."""


class CpuLane:
    """A session on the CPU, with its own threads."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self._input = session.get_inputs()[0].name

    def run(self, feed: NDArray[Any]) -> NDArray[Any]:
        (embedding,) = self.session.run([EMBEDDING_OUTPUT], {self._input: feed})
        return np.asarray(embedding)


class GpuLane:
    """Buffers and a stream of a GPU; two lanes share a session, and one copies while the other computes.

    Parameters
    ----------
    session : InferenceSession
    memory : Memory
        Where the buffers are.
    dim : int
        Width D of the embeddings.
    """

    def __init__(self, session: Any, memory: Memory, dim: int) -> None:
        self.session = session
        self._memory, self._dim = memory, dim
        self._stream = memory.stream()
        self._host: NDArray[Any] = np.empty(0)  # nothing is staged yet

    def run(self, feed: NDArray[Any]) -> NDArray[Any]:
        if (self._host.shape, self._host.dtype) != (feed.shape, feed.dtype):
            self._stage(feed)
        np.copyto(self._host, feed)
        self._memory.copy_in(self._address, self._host, self._stream)
        self.session.run_with_iobinding(self._binding)
        return self._embedding.copy()

    def _stage(self, feed: NDArray[Any]) -> None:
        """Buffers for batches of this shape. Batches are of one shape, so this happens once."""
        name = self.session.get_inputs()[0].name
        shape = (len(feed), self._dim)
        self._host = self._memory.pinned(feed.shape, feed.dtype)
        self._embedding = self._memory.pinned(shape, np.float32)
        self._address = self._memory.allocate(feed.nbytes)
        self._binding = self.session.io_binding()
        self._binding.bind_input(
            name=name,
            device_type=self._memory.device,
            device_id=0,
            element_type=feed.dtype.type,
            shape=feed.shape,
            buffer_ptr=self._address,
        )
        self._binding.bind_output(
            name=EMBEDDING_OUTPUT,
            device_type="cpu",
            device_id=0,
            element_type=np.float32,
            shape=shape,
            buffer_ptr=self._embedding.ctypes.data,
        )
