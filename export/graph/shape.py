"""Shapes of tensors: sizes are numbers, or multiples of the batch size N."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Batch:
    """The size ``times`` * N."""

    times: int = 1

    def __repr__(self) -> str:
        return "N" if self.times == 1 else f"{self.times}*N"


@dataclass(frozen=True)
class Selected(Batch):
    """A size that depends on values, such as the number of remaining boxes. No output of an MXNet node has one."""

    def __repr__(self) -> str:
        return "?"


Size = int | Batch
Shape = tuple[int, ...]  # known numbers, such as the shape of a parameter
BatchShape = tuple[Size, ...]
N = Batch()


def product(sizes: Iterable[Size]) -> Size:
    """Multiply sizes. Raises `UnsupportedOpError` if two of them grow with the batch."""
    sizes = tuple(sizes)
    batches = [size for size in sizes if isinstance(size, Batch)]
    count = math.prod(size.times if isinstance(size, Batch) else size for size in sizes)
    if len(batches) > 1:
        raise UnsupportedOpError(
            f"the shape {sizes} grows with the square of the batch size, which cannot be exported."
        )
    return Batch(count) if batches and count else count


def quotient(size: Size, divisor: Size) -> Size | None:
    """Divide exactly; None if that is impossible for every N."""
    counts = [part.times if isinstance(part, Batch) else part for part in (size, divisor)]
    if counts[1] < 1 or counts[0] % counts[1] or (isinstance(divisor, Batch) and not isinstance(size, Batch)):
        return None
    count = counts[0] // counts[1]
    return Batch(count) if isinstance(size, Batch) and not isinstance(divisor, Batch) else count


def total(sizes: Iterable[Size]) -> Size | None:
    """Add sizes; None if the sum is neither a number nor a multiple of N."""
    sizes = tuple(sizes)
    if not any(isinstance(size, Batch) for size in sizes):
        return sum(size for size in sizes if not isinstance(size, Batch))
    counts = [size.times for size in sizes if isinstance(size, Batch)]
    return Batch(sum(counts)) if len(counts) == len(sizes) else None


def row_elements(shape: BatchShape) -> int:
    """Return the number of elements for a batch of one image."""
    return math.prod(size.times if isinstance(size, Batch) else size for size in shape)


def broadcast_shape(left: BatchShape, right: BatchShape) -> BatchShape | None:
    """Return the common shape where axes of length 1 are repeated, aligned at the last axis; None if there is none."""
    count = max(len(left), len(right))
    left, right = ((1,) * (count - len(shape)) + shape for shape in (left, right))
    if any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        return None
    return tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))
