"""The CUDA calls that `serve_cli.model.lanes.GpuLane` needs, through NVIDIA's Python bindings."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import DeviceError
from gluon_lifted.extras import install_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Cuda:
    """Memory and streams of the first GPU; see `serve_cli.model.lanes.Memory`. Freed together with the object.

    Raises
    ------
    DeviceError
        If NVIDIA's bindings are not installed, or a call fails: no driver, no memory.
    """

    device = "cuda"

    def __init__(self) -> None:
        try:
            from cuda.bindings import runtime
        except ImportError:
            raise DeviceError(
                f"cuda-bindings is not installed; GPUs need it: `{install_command('serve-gpu')}`."
            ) from None
        self._runtime = runtime
        self._held: list[tuple[Callable[[Any], Any], Any]] = []
        weakref.finalize(self, _release, self._held)

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Allocate an array in page-locked host memory, uninitialized."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = self._call(self._runtime.cudaHostAlloc, size, self._runtime.cudaHostAllocDefault)
        self._held.append((self._runtime.cudaFreeHost, address))
        memory: NDArray[Any] = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(int(address)))
        memory = memory.view(dtype).reshape(shape)
        return memory

    def allocate(self, size: int) -> int:
        """Allocate ``size`` bytes on the GPU and return their address."""
        address = self._call(self._runtime.cudaMalloc, size)
        self._held.append((self._runtime.cudaFree, address))
        return int(address)

    def stream(self) -> Any:
        """Create a stream that does not wait for the default stream."""
        stream = self._call(self._runtime.cudaStreamCreateWithFlags, self._runtime.cudaStreamNonBlocking)
        self._held.append((self._runtime.cudaStreamDestroy, stream))
        return stream

    def copy_in(self, address: int, source: NDArray[Any], stream: Any) -> None:
        """Copy from host to GPU and wait until it is done."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self._runtime.cudaMemcpyAsync, address, source.ctypes.data, source.nbytes, kind, stream)
        self._call(self._runtime.cudaStreamSynchronize, stream)

    def _call(self, function: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:
        """Call CUDA and return its result without the status."""
        status, *results = function(*arguments)
        if status != self._runtime.cudaError_t.cudaSuccess:
            _, text = self._runtime.cudaGetErrorString(status)
            raise DeviceError(f"CUDA: {text.decode()} ({function.__name__}); a smaller --batch-size needs less memory.")
        return results[0] if results else None


def _release(held: list[tuple[Callable[[Any], Any], Any]]) -> None:
    while held:
        free, resource = held.pop()
        free(resource)
