"""Windows of one to three axes, crops and enlargements, with random attributes, against MXNet itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

mx_module = pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export.errors import MalformedModelError, UnsupportedAttributeError
from tests.examples import examples
from tests.export.mxnet_files import Net
from tests.export.mxnet_runner import run_mxnet
from tests.export.ops_runner import run_all, translate_any

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

RANKS = st.sampled_from([1, 3])  # tests/export/ops/test_ops_mxnet.py has two axes


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def network(op: str, attrs: dict[str, object], *params: np.ndarray) -> Net:
    net = Net()
    inputs = [net.variable("data"), *(net.variable(f"p{index}", array) for index, array in enumerate(params))]
    tested = net.op(op, "tested", inputs, {name: str(value) for name, value in attrs.items()})
    net.op("_plus_scalar", "last", [tested])
    return net


def compare(net: Net, x: np.ndarray) -> None:
    """Equal to MXNet; what MXNet refuses is in no network."""
    try:
        expected = run_mxnet(net, x)
    except mx_module.mx.MXNetError:
        return
    (actual,) = run_all(translate_any(net, x.shape[1:]), x)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def sizes(draw: Callable[..., int], rank: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(draw(st.integers(low, high)) for _ in range(rank))


@given(data=st.data(), rank=RANKS, groups=st.sampled_from([1, 2]), bias=st.booleans())
@examples(100, derandomize=True)
def test_convolution(data: st.DataObject, rank: int, groups: int, bias: bool) -> None:
    size, kernel = sizes(data.draw, rank, 1, 6), sizes(data.draw, rank, 1, 3)
    stride, pad, dilate = (sizes(data.draw, rank, low, 2) for low in (1, 0, 1))
    assume(all(dilate[a] * (kernel[a] - 1) < size[a] + 2 * pad[a] for a in range(rank)))
    attrs = {"kernel": kernel, "stride": stride, "pad": pad, "dilate": dilate, "num_filter": 2, "num_group": groups}
    params = [random(2, 2 // groups, *kernel), *([random(2)] if bias else [])]
    compare(network("Convolution", attrs | {"no_bias": not bias}, *params), random(2, 2, *size))


@given(
    data=st.data(),
    rank=RANKS,
    kind=st.sampled_from(["max", "avg", "sum", "lp"]),
    convention=st.sampled_from(["valid", "full"]),
    count_include_pad=st.booleans(),
)
@examples(200, derandomize=True)
def test_pooling(data: st.DataObject, rank: int, kind: str, convention: str, count_include_pad: bool) -> None:
    size, kernel = sizes(data.draw, rank, 1, 7), sizes(data.draw, rank, 1, 3)
    stride, pad = sizes(data.draw, rank, 1, 3), sizes(data.draw, rank, 0, 2)
    assume(all(pad[a] < kernel[a] <= size[a] + 2 * pad[a] for a in range(rank)))
    attrs = {"kernel": kernel, "stride": stride, "pad": pad, "pool_type": kind, "pooling_convention": convention}
    attrs |= {"count_include_pad": count_include_pad, "p_value": data.draw(st.sampled_from([1, 2]))}
    net = network("Pooling", attrs)
    x = random(2, 2, *size) - 3  # mostly negative: a padding of zeros would win
    try:
        translate_any(net, x.shape[1:])
    except UnsupportedAttributeError:
        expected = run_mxnet(net, x)  # only if a window covers nothing
        assert (
            (expected < -1e38).any() if kind == "max" else ((expected == 1) | np.isnan(expected)).any()
        )  # `network` adds 1
        return
    compare(net, x)


@given(data=st.data(), rank=st.integers(1, 3), targeted=st.booleans())
@examples(150, derandomize=True)
def test_deconvolution(data: st.DataObject, rank: int, targeted: bool) -> None:
    size, kernel, stride = sizes(data.draw, rank, 1, 4), sizes(data.draw, rank, 1, 4), sizes(data.draw, rank, 1, 3)
    pad, adjust = sizes(data.draw, rank, 0, 2), sizes(data.draw, rank, 0, 2)
    attrs = {"kernel": kernel, "stride": stride, "pad": pad, "adj": adjust, "num_filter": 2}
    if targeted:
        attrs["target_shape"] = tuple(
            max(1, stride[a] * (size[a] - 1) + kernel[a] - 2 * pad[a] + adjust[a] % 2) for a in range(rank)
        )
    net = network("Deconvolution", attrs, random(2, 2, *kernel))
    try:
        translate_any(net, (2, *size))
    except (MalformedModelError, UnsupportedAttributeError):
        return
    compare(net, random(2, 2, *size))


@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    wanted=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    offset=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    centered=st.booleans(),
)
@examples(100, derandomize=True)
def test_crop(size: tuple[int, int], wanted: tuple[int, int], offset: tuple[int, int], centered: bool) -> None:
    net = network("Crop", {"num_args": 1, "h_w": wanted, "offset": offset, "center_crop": centered})
    x = random(2, 2, *size)
    try:
        expected = run_mxnet(net, x)
    except mx_module.mx.MXNetError:
        with pytest.raises(MalformedModelError):
            translate_any(net, x.shape[1:])
        return
    np.testing.assert_array_equal(run_all(translate_any(net, x.shape[1:]), x)[0], expected)


@given(scale=st.integers(1, 5), size=st.tuples(st.integers(1, 5), st.integers(1, 5)))
@examples(30, derandomize=True)
def test_bilinear_up_sampling(scale: int, size: tuple[int, int]) -> None:
    kernel = 2 * scale - scale % 2
    attrs = {"scale": scale, "sample_type": "bilinear", "num_args": 2, "num_filter": 3}
    compare(network("UpSampling", attrs, random(3, 1, kernel, kernel)), random(2, 3, *size))


@given(row=st.tuples(*[st.integers(1, 4)] * 3), groups=st.integers(1, 3))
@examples(40, derandomize=True)
def test_group_norm(row: tuple[int, int, int], groups: int) -> None:
    net = network("GroupNorm", {"num_groups": groups}, random(groups), random(groups))
    compare(net, random(2, row[0] * groups, *row[1:]))
