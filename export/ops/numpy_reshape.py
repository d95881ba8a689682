"""NumPy's reshape with and without special sizes, moveaxis, flip and broadcast_to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.attributes import MIN_INDEX
from export.graph.shape import Batch, product
from export.ops.registry import translates
from export.ops.reshape import INFER, inferred_shape, reshaped, split_axis, transposed

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape, Size

COPY, DROP, COPY_REST, MERGE, SPLIT = -2, -3, -4, -5, -6


@translates("_np_reshape")
def numpy_reshape(node: Node) -> Tensor:
    """Give the input the shape ``newshape``, in which one size may be -1."""
    node.expect_inputs(1)
    node.attrs.choice("order", ("C",), "C")
    spec = node.attrs.integers("newshape", minimum=INFER)
    return reshaped(node, inferred_shape(node, node.shape(), spec))


@translates("_npx_reshape")
def extended_reshape(node: Node) -> Tensor:
    """Resolve the special sizes of ``npx.reshape``, which differ from those of `export.ops.reshape.reshape`."""
    node.expect_inputs(1)
    node.attrs.choice("order", ("C",), "C")
    spec = node.attrs.integers("newshape", minimum=SPLIT)
    backwards = node.attrs.boolean("reverse", default=False)
    if backwards and SPLIT in spec:
        raise node.attrs.unsupported("reverse", "True", f"False with {SPLIT} in newshape")
    source = node.shape()
    if backwards:
        return reshaped(node, inferred_shape(node, source, _resolved(node, source[::-1], spec[::-1])[::-1]))
    return reshaped(node, inferred_shape(node, source, _resolved(node, source, spec)))


def _resolved(node: Node, source: BatchShape, spec: tuple[int, ...]) -> BatchShape:
    """Return the shape that MXNet computes, except for -1 (``np_matrix_op-inl.h``: NumpyXReshapeInferShape)."""
    sizes, codes = list(source), list(spec)
    made: list[Size] = []
    while codes:
        code = codes.pop(0)
        if len(sizes) < {COPY: 1, DROP: 1, MERGE: 2, SPLIT: 1}.get(code, 0):
            raise node.malformed(f"newshape {spec} of {source}: no axis is left for {code}")
        if code == COPY:
            made.append(sizes.pop(0))
        elif code == DROP:
            if (size := sizes.pop(0)) != 1:
                raise node.malformed(f"newshape {spec} of {source}: -3 drops axes of length 1, not of {size}")
        elif code == COPY_REST:
            made, sizes = made + sizes, []
        elif code == MERGE:
            made.append(product((sizes.pop(0), sizes.pop(0))))
        elif code == SPLIT:
            if len(codes) < 2:
                raise node.malformed(f"newshape {spec}: -6 splits an axis into the two sizes after it")
            made += split_axis(node, sizes.pop(0), codes.pop(0), codes.pop(0))
        else:
            made.append(code)
            sizes = sizes[1:]
    return tuple(made)


@translates("_np_moveaxis")
def move_axis(node: Node) -> Tensor:
    """Move the axes ``source`` to the positions ``destination``. The others keep their order."""
    node.expect_inputs(1)
    count = len(node.shape())
    source, destination = (_axes(node, name) for name in ("source", "destination"))
    if len(source) != len(destination):
        raise node.malformed(f"source {source} and destination {destination} differ in length")
    order = [axis for axis in range(count) if axis not in source]
    for position, axis in sorted(zip(destination, source, strict=True)):
        order.insert(position, axis)
    return transposed(node, order)


@translates("_npi_flip")
def flip(node: Node) -> Tensor:
    """Reverse the axes ``axis``."""
    node.expect_inputs(1)
    axes, data = _axes(node, "axis"), node.tensor()
    if not set(axes) <= set(node.inner_axes()):
        raise node.attrs.unsupported("axis", axes, f"some of {node.expected_axes()}")
    numbers = {"starts": [-1] * len(axes), "ends": [MIN_INDEX] * len(axes), "axes": axes, "steps": [-1] * len(axes)}
    return node.emit_like(data, "Slice", (data, *(node.integers(name, *each) for name, each in numbers.items())))


@translates("_npi_broadcast_to")
def broadcast_to(node: Node) -> Tensor:
    """Repeat axes of length 1 until the shape is ``shape``. -2 keeps a size."""
    node.expect_inputs(1)
    data, wanted = node.tensor(), node.attrs.integers("shape", minimum=COPY)
    spare = len(wanted) - len(data.shape)
    if spare < 0:
        raise node.malformed(f"its input {data.shape} cannot be broadcast to {wanted}")
    old: BatchShape = (*[1] * spare, *data.shape)
    shape = tuple(size if code == COPY else code for size, code in zip(old, wanted, strict=True))
    if any(size not in (1, code) for size, code in zip(old, shape, strict=True)):
        kind = "the batch size is not known" if any(isinstance(size, Batch) for size in old) else "the sizes differ"
        raise node.malformed(f"its input {data.shape} cannot be broadcast to {wanted}: {kind}")
    if shape == data.shape:
        return data
    sizes = [1 if before == size or isinstance(size, Batch) else size for before, size in zip(old, shape, strict=True)]
    return node.emit_shaped("Expand", (data, node.integers("shape", *sizes)), shape)


def _axes(node: Node, name: str) -> tuple[int, ...]:
    """Parse distinct axes. Negative values count from the end."""
    count = len(node.shape())
    named = node.attrs.integers(name, minimum=-8)
    axes = tuple(axis + count if axis < 0 else axis for axis in named)
    if len(set(axes)) < len(axes) or not set(axes) <= set(range(count)):
        raise node.malformed(f"{name} {named} are not different axes of its input {node.shape()}")
    return axes
