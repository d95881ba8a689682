"""Lanes: each runs one batch at a time in onnxruntime. A model has several to run batches side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gluon_lifted.contract import EMBEDDING_OUTPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Lane(Protocol):
    """Runs one batch at a time."""

    session: Any

    def run(self, feed: NDArray[Any]) -> NDArray[Any]:
        """Run the network on the input of N images and return its output, (N, D)."""


class Memory(Protocol):
    """The GPU calls that `GpuLane` needs; `serve_cli.model.cuda` implements them, and tests use a stand-in."""

    device: str  # onnxruntime's name of the device

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Allocate an array in page-locked host memory, which the GPU reads and writes directly."""

    def allocate(self, size: int) -> int:
        """Allocate ``size`` bytes on the GPU and return their address."""

    def stream(self) -> Any:
        """Create a queue of GPU work that runs concurrently with other streams."""

    def copy_in(self, address: int, source: NDArray[Any], stream: Any) -> None:
        """Copy from host to GPU and wait until it is done. Other streams and threads keep running."""


class CpuLane:
    """A session on the CPU; see `Lane`."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self._input = session.get_inputs()[0].name

    def run(self, feed: NDArray[Any]) -> NDArray[Any]:
        """Run the network on the input of N images and return its output, (N, D)."""
        (embedding,) = self.session.run([EMBEDDING_OUTPUT], {self._input: feed})
        return np.asarray(embedding)


class GpuLane:
    """Buffers and a stream on a GPU. Two lanes share a session, so that one copies while the other computes.

    Parameters
    ----------
    session : InferenceSession
        On the GPU. Lanes may share it.
    memory : Memory
        Allocates the buffers.
    dim : int
        Width D of the embeddings.
    """

    def __init__(self, session: Any, memory: Memory, dim: int) -> None:
        self.session = session
        self._memory, self._dim = memory, dim
        self._stream = memory.stream()
        self._host: NDArray[Any] = np.empty(0)  # nothing is staged yet

    def run(self, feed: NDArray[Any]) -> NDArray[Any]:
        """Run the network on the input of N images and return its output, (N, D)."""
        if (self._host.shape, self._host.dtype) != (feed.shape, feed.dtype):
            self._stage(feed)
        np.copyto(self._host, feed)
        self._memory.copy_in(self._address, self._host, self._stream)
        self.session.run_with_iobinding(self._binding)
        return self._embedding.copy()

    def _stage(self, feed: NDArray[Any]) -> None:
        """Allocate buffers for batches of this shape. All batches have one shape, so this happens once."""
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
