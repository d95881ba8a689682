"""Load MXNet's shared library without its Python package, and the CUDA libraries that it needs."""

from __future__ import annotations

import ctypes
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARY = "libmxnet.so"


def load_mxnet_library() -> None:
    """Load MXNet's shared library, which takes a tenth of the time of an import.

    Raises
    ------
    OSError
        If a library is missing.
    ModuleNotFoundError
        If MXNet is not installed.
    """
    spec = util.find_spec("mxnet")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("MXNet is not installed", name="mxnet")
    load_cuda_libraries()
    ctypes.CDLL(str(Path(spec.origin).with_name(LIBRARY)))


def load_cuda_libraries() -> None:
    """Load the wheels' CUDA libraries, because mxnet-cu112 looks them up by file name only."""
    try:
        metadata.version("mxnet-cu112")
    except metadata.PackageNotFoundError:
        return
    for library in _cuda_wheel_libraries():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def _cuda_wheel_libraries() -> Iterator[Path]:
    """List the shared libraries of the nvidia-*-cu11 wheels, each after the libraries that it needs."""
    spec = util.find_spec("nvidia")
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    for stem in ("cudart", "nvrtc", "nvToolsExt", "cublasLt", "cublas", "cufft", "curand", "cusolver", "cudnn", "nccl"):
        for root in roots:
            yield from sorted(root.glob(f"*/lib/lib{stem}.so.*"))
