"""Operators that move, cut and resize, with random attributes, against MXNet itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st

mx_module = pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export.errors import MalformedModelError, UnsupportedAttributeError
from tests.examples import examples
from tests.export.mxnet_files import Net
from tests.export.mxnet_runner import run_mxnet
from tests.export.ops_runner import run_all, translate_any

pytestmark = pytest.mark.slow

SIZES = st.integers(1, 9)
LARGER = st.tuples(st.integers(1, 20), st.integers(1, 20))
CODES = st.sampled_from([0, -1, -2, -3, -4, 1, 2, 3, 4, 6, 12, 24])


def network(op: str, attrs: dict[str, object]) -> Net:
    net = Net()
    texts = {name: str(value) for name, value in attrs.items()}
    net.op("_plus_scalar", "last", [net.op(op, "tested", [net.variable("data")], texts)])  # some leave no node
    return net


def text(numbers: list[int]) -> str:
    """As MXNet writes a tuple."""
    return f"({', '.join(map(str, numbers))}{',' * (len(numbers) == 1)})"


def images(*row: int) -> np.ndarray:
    return np.random.default_rng(sum(row)).normal(size=(3, *row)).astype(np.float32)


def agrees(op: str, attrs: dict[str, object], x: np.ndarray, tolerance: float = 1e-6) -> None:
    """Equal to MXNet; or refused, where MXNet refuses too or would mix images. What it refuses is in no network."""
    both_agree(network(op, attrs), x, tolerance)


def both_agree(net: Net, x: np.ndarray, tolerance: float = 1e-6) -> None:
    try:
        expected = run_mxnet(net, x)
    except mx_module.mx.MXNetError:
        expected = None
    try:
        graph = translate_any(net, x.shape[1:])
    except (MalformedModelError, UnsupportedAttributeError):
        assert expected is None or expected.size == 0 or len(expected) != len(x) or mixes_images(net, x, expected)
        return
    if expected is None:
        return
    (actual,) = run_all(graph, x)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def mixes_images(net: Net, x: np.ndarray, expected: np.ndarray) -> bool:
    """Whether the first image's output is another where there are other images beside it."""
    try:
        alone = run_mxnet(net, x[:1])
    except mx_module.mx.MXNetError:
        return True
    return alone.shape[1:] != expected.shape[1:] or not np.array_equal(alone[0], expected[0])


@given(spec=st.lists(CODES, min_size=1, max_size=6), backwards=st.booleans())
@examples(120, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
def test_reshape(spec: list[int], backwards: bool) -> None:
    """Only what our translator takes, with -2 at the end and one -1 beside -4: MXNet crashes on some of the rest."""
    assume(-2 not in spec[:-1] and not {-1, -2} <= set(spec) and (-4 not in spec or spec.count(-1) < 2))
    attrs = {"shape": text(spec), "reverse": backwards and -4 not in spec}
    try:
        translate_any(network("Reshape", attrs), (4, 6, 2))
    except (MalformedModelError, UnsupportedAttributeError):
        assume(False)
    agrees("Reshape", attrs, images(4, 6, 2))


PLACES = st.one_of(st.none(), st.integers(-7, 7))


@given(ranges=st.lists(st.tuples(PLACES, PLACES, st.sampled_from([None, 1, 2, 3, -1, -2])), min_size=1, max_size=3))
@examples(200, derandomize=True)
def test_slice(ranges: list[tuple[int | None, int | None, int | None]]) -> None:
    begin, end, step = zip((None, None, None), *ranges, strict=True)
    agrees("slice", {"begin": begin, "end": end, "step": step}, images(4, 5, 6))


@given(axis=st.integers(-4, 3), begin=st.integers(-6, 6), end=PLACES)
@examples(100, derandomize=True)
def test_slice_axis(axis: int, begin: int, end: int | None) -> None:
    agrees("slice_axis", {"axis": axis, "begin": begin, "end": end}, images(4, 5, 6))


@given(row=st.tuples(st.integers(1, 3), SIZES, SIZES), size=st.tuples(SIZES, SIZES))
@examples(100, derandomize=True)
def test_adaptive_average(row: tuple[int, int, int], size: tuple[int, int]) -> None:
    agrees("_contrib_AdaptiveAvgPooling2D", {"output_size": size}, images(*row))


@given(
    row=st.tuples(st.integers(1, 2), SIZES, SIZES),
    size=LARGER,
    corners=st.booleans(),
)
@examples(150, derandomize=True)
def test_bilinear_resize(row: tuple[int, int, int], size: tuple[int, int], corners: bool) -> None:
    attrs = {"height": size[0], "width": size[1], "align_corners": corners}
    agrees("_contrib_BilinearResize2D", attrs, images(*row), tolerance=1e-5)


@given(row=st.tuples(st.integers(1, 3), SIZES, SIZES), scale=st.integers(1, 5))
@examples(50, derandomize=True)
def test_up_sampling(row: tuple[int, int, int], scale: int) -> None:
    agrees("UpSampling", {"scale": scale, "sample_type": "nearest", "num_args": 1}, images(*row))


@given(widths=st.tuples(*[st.integers(0, 3)] * 4), mode=st.sampled_from(["constant", "edge", "reflect"]))
@examples(100, derandomize=True)
def test_pad(widths: tuple[int, ...], mode: str) -> None:
    agrees("Pad", {"mode": mode, "pad_width": (0, 0, 0, 0, *widths), "constant_value": 0.5}, images(2, 5, 6))


@given(
    op=st.sampled_from(["sum", "mean", "max", "min"]),
    axes=st.lists(st.integers(-3, 3), min_size=1, max_size=3, unique=True),
    exclude=st.booleans(),
    keepdims=st.booleans(),
)
@examples(100, derandomize=True)
def test_reduce(op: str, axes: list[int], exclude: bool, keepdims: bool) -> None:
    attrs = {"axis": text(axes), "exclude": exclude, "keepdims": keepdims}
    agrees(op, attrs, images(2, 5, 4), tolerance=1e-5)


@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    adjust=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    groups=st.sampled_from([1, 2]),
)
@examples(100, derandomize=True)
def test_deconvolution(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    adjust: tuple[int, int],
    groups: int,
) -> None:
    assume(all(adjust[a] < stride[a] for a in (0, 1)))
    assume(all(stride[a] * (size[a] - 1) + kernel[a] + adjust[a] > 2 * pad[a] for a in (0, 1)))
    attrs = {"kernel": kernel, "stride": stride, "pad": pad, "adj": adjust, "num_filter": 4, "num_group": groups}
    net = Net()
    weight = net.variable("weight", np.random.default_rng(0).normal(size=(2, 4 // groups, *kernel)).astype(np.float32))
    net.op("Deconvolution", "tested", [net.variable("data"), weight], {key: str(value) for key, value in attrs.items()})
    x = images(2, *size)
    (actual,) = run_all(translate_any(net, x.shape[1:]), x)
    np.testing.assert_allclose(actual, run_mxnet(net, x), rtol=1e-5, atol=1e-5)


BOUNDS = st.one_of(st.none(), st.integers(-4, 4))


def of_two(op: str, attrs: dict[str, object], first: str, second: str) -> Net:
    """An operator of two shapes of the same images, (2, 6, 4)."""
    net = Net()
    data = net.variable("data")
    shapes = {"images": "(0, 0, 0, 0)", "rows": "(0, 12, 4)", "cut": "(0, 4, 6, 2)", "flat": "(0, -1)"}
    made = [net.op("Reshape", name, [data], {"shape": shapes[name]}) for name in (first, second)]
    tested = net.op(op, "tested", made, {name: str(value) for name, value in attrs.items()})
    net.op("_plus_scalar", "last", [tested])
    return net


@given(
    names=st.tuples(*[st.sampled_from(["images", "rows", "cut", "flat"])] * 2),
    bounds=st.tuples(BOUNDS, BOUNDS, BOUNDS, BOUNDS),
)
@examples(150, derandomize=True)
def test_reshape_like(names: tuple[str, str], bounds: tuple[int | None, ...]) -> None:
    attrs = dict(zip(("lhs_begin", "lhs_end", "rhs_begin", "rhs_end"), bounds, strict=True))
    both_agree(of_two("reshape_like", attrs, *names), images(2, 6, 4))


@given(axes=st.lists(st.integers(-4, 4), max_size=3, unique=True))
@examples(60, derandomize=True)
def test_slice_like(axes: list[int]) -> None:
    net = Net()
    data = net.variable("data")
    small = net.op("slice_axis", "small", [data], {"axis": "2", "begin": "0", "end": "3"})
    smaller = net.op("slice_axis", "smaller", [small], {"axis": "3", "begin": "1", "end": "4"})
    net.op("_plus_scalar", "last", [net.op("slice_like", "tested", [data, smaller], {"axes": text(axes)})])
    both_agree(net, images(2, 6, 4))


@given(transposed=st.tuples(st.booleans(), st.booleans()), row=st.tuples(SIZES, SIZES, SIZES))
@examples(40, derandomize=True)
def test_batch_dot(transposed: tuple[bool, bool], row: tuple[int, int, int]) -> None:
    net = Net()
    data = net.variable("data")
    swapped = {"dim1": "2", "dim2": "3"} if transposed[0] == transposed[1] else {"dim1": "1", "dim2": "1"}
    other = net.op("SwapAxis", "other", [data], swapped)
    attrs = {"transpose_a": str(transposed[0]), "transpose_b": str(transposed[1])}
    net.op("_plus_scalar", "last", [net.op("batch_dot", "tested", [data, other], attrs)])
    both_agree(net, images(*row), tolerance=1e-5)


@given(row=st.tuples(SIZES, SIZES, SIZES), shape=st.lists(st.integers(0, 9), max_size=5), left=st.booleans())
@examples(100, derandomize=True)
def test_broadcast_with_a_parameter(row: tuple[int, int, int], shape: list[int], left: bool) -> None:
    """0 stands for the length of the images' axis, anything else for itself."""
    full = (1, *row)[max(0, 4 - len(shape)) :]
    sizes = [length if size == 0 else size for size, length in zip(shape, full, strict=False)]
    net = Net()
    data = net.variable("data")
    number = net.variable("number", np.random.default_rng(len(shape)).normal(size=sizes).astype(np.float32))
    net.op("broadcast_sub", "tested", [data, number] if left else [number, data])
    both_agree(net, images(*row))
