"""Weights that only depend on a parameter's name and shape: the same in PyTorch's process and in ours."""

from __future__ import annotations

import hashlib
import math
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Shape = tuple[int, ...]


def random_parameter(name: str, shape: Shape) -> np.ndarray:
    """Draw float32 numbers: of He's variance for weights, around 1 for scales, around 0 for biases and means.

    Variances are around 2: with smaller ones activations grow from block to block, and gates see sums so large that
    float32 rounds them to 1 % of a network's output.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    numbers = rng.random(shape, np.float32)  # [0, 1)
    if len(shape) > 1:
        limit = math.sqrt(6 / math.prod(shape[1:]))
        return (2 * numbers - 1) * np.float32(limit)
    if name.endswith("running_var"):
        return 2 * numbers + 1
    if name.endswith("weight"):
        return numbers + np.float32(0.5)
    return numbers * np.float32(0.6) - np.float32(0.3)


def random_images(side: int) -> np.ndarray:
    """Draw float32 (2, 3, side, side)."""
    return np.random.default_rng(side).random((2, 3, side, side), np.float32) * 4 - 2


def digest_of_names(shapes: Iterable[tuple[str, Sequence[int]]]) -> str:
    """Return a hash of names and shapes, whose order does not matter."""
    lines = sorted(f"{name} {tuple(shape)}" for name, shape in shapes)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
