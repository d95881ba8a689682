"""Translators, one file per family of operators. Importing this package registers them all."""

from export.ops import (
    activation,
    batch_norm,
    concat,
    convolution,
    elementwise,
    flatten,
    fully_connected,
    identity,
    l2_normalization,
    lrn,
    pooling,
    slice_axis,
)

__all__ = [
    "activation",
    "batch_norm",
    "concat",
    "convolution",
    "elementwise",
    "flatten",
    "fully_connected",
    "identity",
    "l2_normalization",
    "lrn",
    "pooling",
    "slice_axis",
]
