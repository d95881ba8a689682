"""How a model runs: device, threads, sessions and batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.cpus import usable_cpus
from serve_cli.choices import Device


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a model runs.

    Parameters
    ----------
    device : {"cpu", "openvino", "gpu", "tensorrt"}
        ``"openvino"``: the CPU with Intel's OpenVINO. ``"gpu"``: an NVIDIA GPU with CUDA. ``"tensorrt"``: an NVIDIA
        GPU with TensorRT, and CUDA for operators that TensorRT lacks.
    threads : int, optional
        Threads of the network on the CPU, and number of threads that decode images. Default: one per core that this
        process may use.
    sessions : int, optional
        Batches that run side by side on the CPU, each with its share of the threads. Default: the best number that
        `lifted bench --save` measured on this host, or one per thread.
    batch_size : int, optional
        Images per batch. Default: the best size that `lifted bench --save` measured on this host, or 8; 128 on a GPU.
    allow_fallback : bool
        Use the CPU if the device is not available or has no kernel for an operator, instead of failing.
    relaxed : bool
        Round matrix products to TF32 on GPUs and to bfloat16 in OpenVINO. This is faster and changes embeddings by 1e-3
        to 1e-2. onnxruntime's own CPU kernels have no such mode.
    cache : bool
        Keep the optimized graph in the user's cache folder, so that the next session starts faster.

    Raises
    ------
    ConfigError
        If the device is unknown, or ``threads`` is less than 1.
    """

    device: Device = "cpu"
    threads: int | None = None
    sessions: int | None = None
    batch_size: int | None = None
    allow_fallback: bool = False
    relaxed: bool = False
    cache: bool = True

    def __post_init__(self) -> None:
        if self.device not in get_args(Device):
            raise ConfigError(f"device {self.device!r} is unknown; use {', '.join(get_args(Device))}.")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"the number of threads is {self.threads}; give 1 or more.")

    @property
    def num_threads(self) -> int:
        """``threads``, or one per core that this process may use."""
        return self.threads or usable_cpus()

    @property
    def session_threads(self) -> int:
        """Threads of each session."""
        return self.num_threads // (self.sessions or 1)
