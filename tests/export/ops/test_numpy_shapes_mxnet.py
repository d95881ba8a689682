"""MXNet's NumPy operators with random shapes and attributes, against MXNet itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from tests.examples import examples
from tests.export.mxnet_files import Net
from tests.export.mxnet_runner import run_mxnet
from tests.export.ops.test_shapes_mxnet import images, network, text
from tests.export.ops_runner import run_all, translate_any

pytestmark = pytest.mark.slow

SIZES = st.integers(1, 4)
ROWS = st.tuples(SIZES, SIZES, SIZES)
ARITHMETIC = st.sampled_from(["_npi_add", "_npi_subtract", "_npi_multiply", "_npi_true_divide", "_npi_where"])


def agrees(net: Net, x: np.ndarray, tolerance: float = 1e-5) -> None:
    (actual,) = run_all(translate_any(net, x.shape[1:]), x)
    expected = run_mxnet(net, x)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def parameter(net: Net, *shape: int) -> int:
    return net.variable("weight", np.random.default_rng(len(shape)).uniform(0.5, 2, shape).astype(np.float32))


@given(
    op=ARITHMETIC,
    row=ROWS,
    kept=st.lists(st.booleans(), min_size=1, max_size=5),
    turned=st.booleans(),
    left=st.booleans(),
)
@examples(100, derandomize=True)
def test_broadcasting(op: str, row: tuple[int, int, int], kept: list[bool], turned: bool, left: bool) -> None:
    """A parameter of fewer or more axes, each of length 1 or the tensor's; the batch is the first axis or the last."""
    net = Net()
    data = net.variable("data")
    shape = (*row[::-1], 1) if turned else (1, *row)
    tensor = net.op("_np_transpose", "turned", [data]) if turned else data
    sizes = [size if keep else 1 for size, keep in zip((7, *shape)[-len(kept) :], kept, strict=True)]
    pair = [tensor, parameter(net, *sizes)] if left else [parameter(net, *sizes), tensor]
    net.op(op, "tested", [tensor, *pair] if op == "_npi_where" else pair)
    agrees(net, images(*row))


@given(sizes=st.lists(st.sampled_from([1, 2, 3, 4, 6, 12, 24, 48]), max_size=4), at=st.integers(0, 4))
@examples(60, derandomize=True)
def test_reshape(sizes: list[int], at: int) -> None:
    assume(48 % math.prod(sizes) == 0)
    net = network("_np_reshape", {"newshape": text([*sizes[:at], -1, *sizes[at:]])})
    agrees(net, images(4, 6, 2))


@st.composite
def special_sizes(draw: st.DrawFn, shape: tuple[int, ...], *, split: bool) -> list[int]:
    """Walk along the axes; the first axis is the batch, whose size is never written."""
    codes: list[int] = []
    axis = 0
    while axis < len(shape):
        size = shape[axis]
        ways = [[-2], *([[-5]] * (axis + 1 < len(shape))), *([[-3]] * (size == 1)), *([[-4]])]
        if axis:
            ways += [[size], *([-6, part, size // part] for part in range(1, size + 1) if split and not size % part)]
        way = draw(st.sampled_from(ways))
        codes += way
        axis += {-5: 2, -4: len(shape)}.get(way[0], 1)
    written = [index for index, code in enumerate(codes) if code > 0]
    if written and draw(st.booleans()):
        codes[draw(st.sampled_from(written))] = -1
    return codes


@given(codes=special_sizes((0, 4, 6, 1), split=True))
@examples(100, derandomize=True)
def test_reshape_with_special_sizes(codes: list[int]) -> None:
    agrees(network("_npx_reshape", {"newshape": text(codes)}), images(4, 6, 1))


@given(codes=special_sizes((1, 6, 4), split=False), batch=st.sampled_from([-1, -2]))
@examples(60, derandomize=True)
def test_reshape_from_the_right(codes: list[int], batch: int) -> None:
    """The axes are walked from the last to the batch, which takes the place of another -1."""
    assume(-4 not in codes and (batch == -2 or -1 not in codes))
    spec = [batch, *codes[::-1]]
    agrees(network("_npx_reshape", {"newshape": text(spec), "reverse": True}), images(4, 6, 1))


@given(
    op=st.sampled_from(["_np_sum", "_np_prod", "_np_max", "_np_min", "_npi_mean", "_npi_var", "_npi_std"]),
    axes=st.lists(st.sampled_from([1, 2, 3, -1, -2, -3]), max_size=3, unique_by=lambda axis: axis % 4),
    keepdims=st.booleans(),
    less=st.integers(0, 1),
)
@examples(100, derandomize=True)
def test_reduction(op: str, axes: list[int], keepdims: bool, less: int) -> None:
    moments = op in ("_npi_var", "_npi_std")
    assume(axes or not moments)
    attrs = {"axis": text(axes), "keepdims": keepdims} | ({"ddof": less} if moments else {})
    agrees(network(op, attrs), images(2, 5, 4))


@given(order=st.permutations(range(4)), negative=st.booleans())
@examples(30, derandomize=True)
def test_transpose(order: list[int], negative: bool) -> None:
    axes = text([axis - 4 if negative and axis else axis for axis in order])
    agrees(network("_np_transpose", {"axes": axes}), images(2, 5, 4))


@given(source=st.permutations(range(4)), destination=st.permutations(range(4)), count=st.integers(1, 4))
@examples(60, derandomize=True)
def test_move_axis(source: list[int], destination: list[int], count: int) -> None:
    attrs = {"source": text(source[:count]), "destination": text([axis - 4 for axis in destination[:count]])}
    agrees(network("_np_moveaxis", attrs), images(2, 5, 4))


@given(row=ROWS, stack=st.lists(st.booleans(), max_size=2), columns=st.integers(0, 3), turned=st.booleans())
@examples(80, derandomize=True)
def test_matmul(row: tuple[int, int, int], stack: list[bool], columns: int, turned: bool) -> None:
    """0 columns stand for a vector; turned, the tensor is the second factor."""
    net = Net()
    data = net.variable("data")
    inner, before = (row[1], columns) if turned else (row[2], columns)
    matrix = (before, inner) if turned else (inner, before)
    sizes = [size if keep else 1 for size, keep in zip((1, row[0])[-len(stack) :] if stack else (), stack, strict=True)]
    weight = parameter(net, *sizes, *matrix) if columns else parameter(net, inner)
    net.op("_npi_matmul", "tested", [weight, data] if turned else [data, weight])
    agrees(net, images(*row))


@given(
    pairs=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), min_size=1, max_size=3),
    turned=st.booleans(),
    free=SIZES,
)
@examples(80, derandomize=True)
def test_tensordot(pairs: list[tuple[int, int]], turned: bool, free: int) -> None:
    row, sizes = (2, 4, 3), [free, free, free]
    assume(all(len(set(axes)) == len(pairs) for axes in zip(*pairs, strict=True)))
    for axis, other in pairs:
        sizes[other] = row[axis - 1]
    net = Net()
    data = net.variable("data")
    weight = parameter(net, *sizes)
    first, second = (text(list(axes)) for axes in zip(*pairs, strict=True))
    if turned:
        first, second = second, first
    attrs = {"a_axes_summed": first, "b_axes_summed": second}
    net.op("_npi_tensordot", "tested", [weight, data] if turned else [data, weight], attrs)
    agrees(net, images(*row))


@given(cuts=st.sets(st.integers(1, 5), max_size=4), axis=st.sampled_from([1, -3]), part=st.integers(0, 4))
@examples(40, derandomize=True)
def test_split(cuts: set[int], axis: int, part: int) -> None:
    starts = [0, *sorted(cuts)]
    assume(part < len(starts))
    net = network("_split_v2", {"indices": text(starts), "axis": axis})
    net.nodes[-1]["inputs"] = [[len(net.nodes) - 2, part, 0]]
    agrees(net, images(6, 3, 2))
