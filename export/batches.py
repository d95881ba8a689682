"""Split and concatenate the arrays of a model along the batch axis of its inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.graph.shape import N

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from export.libraries import onnx

Arrays = dict[str, "NDArray[Any]"]
Axes = dict[str, "int | None"]  # name -> batch axis; None if there is none


def batch_axes(infos: Iterable[onnx.ValueInfoProto]) -> Axes:
    """Return the batch axis of inputs or outputs of a model, the one with the symbolic dimension ``N``."""
    axes: Axes = {}
    for info in infos:
        names = [dim.dim_param for dim in info.type.tensor_type.shape.dim]
        axes[info.name] = names.index(repr(N)) if repr(N) in names else None
    return axes


def count_rows(arrays: Mapping[str, NDArray[Any]], axes: Axes) -> int | None:
    """Return the number of images; None if no array has a batch axis."""
    sizes = [array.shape[axis] for name, array in arrays.items() if (axis := axes[name]) is not None]
    return sizes[0] if sizes else None


def take_rows(arrays: Mapping[str, NDArray[Any]], axes: Axes, start: int, stop: int) -> Arrays:
    """Cut images ``start`` to ``stop`` from arrays that have a batch axis. Others stay whole."""
    taken = {}
    for name, array in arrays.items():
        axis = axes[name]
        part = array if axis is None else array[(slice(None),) * axis + (slice(start, stop),)]
        taken[name] = np.ascontiguousarray(part)
    return taken


def join_rows(parts: Sequence[Arrays], axes: Axes) -> Arrays:
    """Undo `take_rows`. Arrays without a batch axis are taken from the first part."""
    return {
        name: array if (axis := axes[name]) is None else np.concatenate([part[name] for part in parts], axis)
        for name, array in parts[0].items()
    }


def rows_first(array: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Move the batch axis to the front, so that an index is that of an image."""
    return array if axis is None else np.moveaxis(array, axis, 0)
