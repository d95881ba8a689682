"""The type that a run computes in: float32, or with mixed precision float16 on GPUs and bfloat16 on CPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.cpus import has_bfloat16_units, instruction_sets
from gluon_lifted.mx import autograd, mx, nd, start_mixed_precision

if TYPE_CHECKING:
    from gluon_lifted.config.train_config import TrainConfig

FLOAT32, FLOAT16, BFLOAT16 = "float32", "float16", "bfloat16"
# Largest relative difference (Frobenius norm) between a network's embeddings and its float32 copy's. A rounding is
# 2^-12 in float16 and 2^-9 in bfloat16, and adds up over about a hundred layers. A wrong network differs by about 1.
TOLERANCE = {FLOAT32: 1e-3, FLOAT16: 2e-2, BFLOAT16: 1e-1}


def compute_type(config: TrainConfig, devices: list[Any]) -> str:
    """Return the type that the devices compute in, a key of `TOLERANCE`.

    On CPUs with bfloat16 units a step at 64 px is about 1.05 to 1.3 times as fast as in float32. It has not been
    measured at 224 px, so no help text recommends it.

    Raises
    ------
    ConfigError
        If mixed precision is configured and the CPU has no units for it. MXNet has no float16 convolution on CPUs.
    """
    if not config.amp:
        return FLOAT32
    if all(device.device_type == "gpu" for device in devices):
        return FLOAT16
    if has_bfloat16_units(instruction_sets()):
        return BFLOAT16
    raise ConfigError(
        "--amp needs a GPU, or a CPU with bfloat16 units (avx512_bf16 or amx_bf16 in /proc/cpuinfo). This CPU has "
        "none. Train with --device gpu, or leave out --amp."
    )


def start_computing_in(dtype: str) -> None:
    """Make networks built from now on compute in ``dtype`` where MXNet lists it as safe. Affects the whole process."""
    if dtype != FLOAT32:
        start_mixed_precision(dtype)


def as_float32(array: Any) -> Any:
    """Cast to float32, with a gradient in the array's own type. MXNet's other casts do not support bfloat16."""
    return nd.amp_cast(array, dtype=FLOAT32)


def require_computable(net: Any, shape: tuple[int, ...], device: Any, dtype: str) -> None:
    """Take the gradient of one batch of zeros. Batch norm's statistics change.

    Raises
    ------
    ConfigError
        If MXNet has no code for one of the network's layers in ``dtype`` on the device.
    """
    try:
        with autograd.record():
            embedding = as_float32(net(nd.zeros(shape, ctx=device)))
        embedding.backward()
        nd.waitall()
    except mx.MXNetError as error:
        raise ConfigError(
            f"MXNet cannot compute this network in {dtype} on {device} "
            f"({str(error).strip().splitlines()[-1]:.200}). Leave out --amp."
        ) from None
