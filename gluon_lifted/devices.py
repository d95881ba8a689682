"""Device names of the command line -> MXNet contexts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError, DeviceError
from gluon_lifted.extras import install_command
from gluon_lifted.hardware.gpus import list_gpus, mxnet_can_run, why_not

if TYPE_CHECKING:
    from collections.abc import Callable


def parse_devices(spec: str) -> list[tuple[str, int]]:
    """Parse ``"cpu"``, ``"gpu"`` or ``"gpu:0,gpu:1"`` into kinds and numbers. Raises `ConfigError` otherwise."""
    matches = [re.fullmatch(r"(cpu|gpu)(?::(\d{1,3}))?", part.strip()) for part in spec.split(",")]
    devices = [(match[1], int(match[2] or 0)) for match in matches if match]
    if len(devices) < len(matches) or len(set(devices)) < len(devices) or len({kind for kind, _ in devices}) != 1:
        raise ConfigError(f"device is {spec!r}; expected cpu, gpu, or GPUs such as gpu:0,gpu:1.")
    return devices


def mxnet_contexts(spec: str) -> list[Any]:
    """Return the MXNet contexts to train on.

    Raises
    ------
    DeviceError
        If a GPU does not exist, or MXNet's wheels hold no code for it. MXNet itself would fail only at its first
        kernel.
    """
    devices = parse_devices(spec)
    _refuse_unusable_gpus([number for kind, number in devices if kind == "gpu"])
    from gluon_lifted.mx import mx

    make: dict[str, Callable[[int], Any]] = {"cpu": mx.cpu, "gpu": mx.gpu}
    if devices[0][0] == "gpu" and not mx.runtime.Features().is_enabled("CUDA"):
        raise DeviceError(f"the installed MXNet runs on CPUs only. For GPUs, install: `{install_command('train-gpu')}`")
    return [make[kind](number) for kind, number in devices]


def _refuse_unusable_gpus(numbers: list[int]) -> None:
    gpus = list_gpus() if numbers else []
    for number in numbers:
        if number >= len(gpus):
            raise DeviceError(
                f"gpu:{number} does not exist; NVIDIA GPUs found: {len(gpus)}. Use another one, or --device cpu."
            )
        if not mxnet_can_run(gpus[number]):
            raise DeviceError(why_not(gpus[number]))
