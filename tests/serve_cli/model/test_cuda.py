"""The calls of CUDA, against a stand-in of NVIDIA's bindings: what is asked for, and what is given back."""

from __future__ import annotations

import ctypes
import gc
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gluon_lifted.errors import DeviceError
from serve_cli.model.cuda import Cuda

OK, NO_MEMORY = 0, 2


class Runtime(ModuleType):
    """cuda.bindings.runtime as far as it is used; a GPU's memory is the host's."""

    cudaError_t = SimpleNamespace(cudaSuccess=OK)  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1)  # noqa: N815
    cudaHostAllocDefault, cudaStreamNonBlocking = 0, 1  # noqa: N815

    def __init__(self, limit: int = 1 << 20) -> None:
        super().__init__("runtime")
        self.limit = limit
        self.held: dict[int, Any] = {}
        self.calls: list[str] = []

    def _hold(self, size: int) -> tuple[int, ...]:
        if size > self.limit:
            return NO_MEMORY, 0
        buffer = (ctypes.c_ubyte * size)()
        self.held[ctypes.addressof(buffer)] = buffer
        return OK, ctypes.addressof(buffer)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[int, ...]:  # noqa: N802
        return self._hold(size)

    def cudaMalloc(self, size: int) -> tuple[int, ...]:  # noqa: N802
        return self._hold(size)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[int, ...]:  # noqa: N802
        assert flags == self.cudaStreamNonBlocking
        return self._hold(1)

    def cudaMemcpyAsync(self, to: int, source: int, size: int, kind: int, stream: int) -> tuple[int]:  # noqa: N802
        assert kind == 1
        assert {to, source, stream} <= self.held.keys()
        ctypes.memmove(to, source, size)
        self.calls.append(f"copy on {stream}")
        return (OK,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:  # noqa: N802
        self.calls.append(f"wait for {stream}")
        return (OK,)

    def cudaGetErrorString(self, status: int) -> tuple[int, bytes]:  # noqa: N802
        return OK, b"out of memory"

    def cudaFree(self, address: int) -> tuple[int]:  # noqa: N802
        del self.held[address]
        return (OK,)

    cudaFreeHost = cudaStreamDestroy = cudaFree  # noqa: N815


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    found = Runtime()
    bindings = ModuleType("cuda.bindings")
    bindings.runtime = found
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    return found


def test_copies_are_waited_for_on_their_own_stream(runtime: Runtime) -> None:
    cuda = Cuda()
    pinned = cuda.pinned((2, 3), np.float32)
    pinned[:] = np.arange(6, dtype=np.float32).reshape(2, 3)
    address, stream = cuda.allocate(pinned.nbytes), cuda.stream()
    cuda.copy_in(address, pinned, stream)
    assert runtime.calls == [f"copy on {stream}", f"wait for {stream}"]
    assert bytes(runtime.held[address]) == pinned.tobytes()
    assert pinned.ctypes.data in runtime.held


def test_all_memory_is_given_back(runtime: Runtime) -> None:
    cuda = Cuda()
    cuda.pinned((4,), np.uint8)
    cuda.allocate(8)
    cuda.stream()
    assert len(runtime.held) == 3
    del cuda
    gc.collect()
    assert runtime.held == {}


def test_memory_that_runs_out_is_one_sentence(runtime: Runtime) -> None:
    with pytest.raises(DeviceError, match=r"CUDA: out of memory \(cudaMalloc\); a smaller --batch-size"):
        Cuda().allocate(1 << 30)


def test_bindings_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(
        DeviceError, match=r"cuda-bindings is not installed; GPUs need it: `pip install .*\[serve-gpu\]"
    ):
        Cuda()
