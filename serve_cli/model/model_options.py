"""How a model is run: on which device, with how many threads, sessions and images a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.cpus import usable_cpus
from serve_cli.choices import Device


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a model is run.

    Parameters
    ----------
    device : {"cpu", "openvino", "gpu", "tensorrt"}
        ``"openvino"`` is the CPU by Intel's OpenVINO; ``"gpu"`` is NVIDIA's by CUDA; ``"tensorrt"`` is the same by
        TensorRT, with CUDA for what that lacks.
    threads : int, optional
        Threads of the network on the CPU, and as many that decode images. By default one for each core that this
        process may use.
    sessions : int, optional
        Batches that go through the network side by side on the CPU, each on its share of the threads. By default
        what `lifted bench --save` found best on this machine, or one for each thread.
    batch_size : int, optional
        Images that go through the network together. By default what `lifted bench --save` found best on this
        machine, or 8; 128 on a GPU.
    allow_fallback : bool
        Use the CPU where the device is not available or has no kernel for an operator, instead of failing.
    relaxed : bool
        Let products of matrices be rounded, to TF32 on GPUs, to bfloat16 in OpenVINO: faster, and embeddings are off
        by 1e-3 to 1e-2. onnxruntime's own kernels for the CPU have no such mode.
    cache : bool
        Keep the optimized graph in the user's cache folder, so that the next session starts sooner.

    Raises
    ------
    ConfigError
        If the device is unknown, or there are no threads.
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
            raise ConfigError(f"{self.threads} threads; give 1 or more.")

    @property
    def num_threads(self) -> int:
        """``threads``, or one for each core that this process may use."""
        return self.threads or usable_cpus()

    @property
    def session_threads(self) -> int:
        """Threads of each session."""
        return self.num_threads // (self.sessions or 1)
