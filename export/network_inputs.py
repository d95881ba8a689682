"""The inputs of a saved MXNet network: shapes, batch axes and types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from export.graph.shape import Batch, BatchShape, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


@dataclass(frozen=True)
class NetworkInputs:
    """Shapes and types of a network's inputs, which its two files do not contain.

    Parameters
    ----------
    shapes : mapping
        Name -> shape, with `export.N` on the batch axis: ``{"data": (N, 3, 224, 224)}``.
    dtypes : mapping
        Name -> type. The default is the type of the first weight that an input is combined with, else float32.
    batch : int
        The batch size of a network that works for one size only.
    """

    shapes: Mapping[str, BatchShape]
    dtypes: Mapping[str, np.dtype[Any]] = field(default_factory=dict)
    batch: int = 1

    def batch_axes(self) -> dict[str, int]:
        """Return the batch axis of every input that has one."""
        axes = {name: [isinstance(size, Batch) for size in shape] for name, shape in self.shapes.items()}
        return {name: counts.index(True) for name, counts in axes.items() if True in counts}

    def fixed(self) -> dict[str, Shape]:
        """Return the shapes for `batch` images."""
        return {
            name: tuple(size.times * self.batch if isinstance(size, Batch) else size for size in shape)
            for name, shape in self.shapes.items()
        }
