"""The NVIDIA GPUs that the driver lists, and whether MXNet's CUDA wheels can use them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76  # CUdevice_attribute in cuda.h
OLDEST_FOR_MXNET = (5, 0)  # mxnet-cu112 1.9.1 contains machine code for 5.0-8.6 ...
FIRST_BEYOND_MXNET = (9, 0)  # ... which runs on all of major version 8, and no PTX for later versions


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU: the driver's name for it, its compute capability as (major, minor), its memory in bytes."""

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int


def list_gpus() -> list[Gpu]:
    """List the NVIDIA GPUs that this process can see; empty without a driver or GPU."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return []
    return [_describe(driver, number) for number in range(count.value)]


def _describe(driver: ctypes.CDLL, number: int) -> Gpu:
    device = ctypes.c_int(0)
    driver.cuDeviceGet(ctypes.byref(device), number)
    name = ctypes.create_string_buffer(256)
    driver.cuDeviceGetName(name, len(name), device)
    memory = ctypes.c_size_t(0)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    major, minor = (_attribute(driver, code, device) for code in (COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR))
    return Gpu(name.value.decode(errors="replace"), (major, minor), memory.value)


def _attribute(driver: ctypes.CDLL, code: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int(0)
    driver.cuDeviceGetAttribute(ctypes.byref(value), code, device)
    return value.value


def mxnet_can_run(gpu: Gpu) -> bool:
    """Check whether MXNet's CUDA wheels contain code for this GPU (compute capability 5.0-8.9)."""
    return OLDEST_FOR_MXNET <= gpu.compute_capability < FIRST_BEYOND_MXNET


def why_not(gpu: Gpu) -> str:
    """Explain why MXNet cannot use this GPU, and what to do."""
    major, minor = gpu.compute_capability
    return (
        f"{gpu.name} has compute capability {major}.{minor}, but MXNet's CUDA wheels contain code for 5.0 to 8.9 only. "
        "Train on the CPU or on an older GPU. Serving with onnxruntime-gpu is not affected."
    )
