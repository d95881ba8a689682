"""Every translator against MXNet itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export.errors import UnsupportedAttributeError
from export.translate import NAMED, NUMBERED
from gluon_lifted.mx import mx
from tests.examples import examples
from tests.export.mxnet_files import Net
from tests.export.mxnet_runner import run_mxnet
from tests.export.networks import CROP, small_network
from tests.export.op_case import ROW, OpCase
from tests.export.op_cases import CASES
from tests.export.op_cases_windows import TARGET_ALONE
from tests.export.ops_runner import run_onnx, translate_any, translate_net


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def compare(net: Net, x: np.ndarray, tolerance: float = 1e-5) -> None:
    expected = run_mxnet(net, x)
    actual = run_onnx(translate_net(net, x.shape[1:]), x)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op}: {case.note}")
def test_equals_mxnet(case: OpCase) -> None:
    if case.op == "amp_multicast":
        pytest.skip("MXNet computes it in half precision on GPUs alone")
    if case.note.startswith(TARGET_ALONE):
        pytest.skip("MXNet's CPU kernel needs pad beside target_shape")
    compare(case.net(), images(2, *ROW))


@pytest.mark.parametrize("op", sorted({case.op for case in CASES} & {*NUMBERED, *NAMED}))
def test_outputs_are_named_as_in_mxnet(op: str) -> None:
    net = next(case for case in CASES if case.op == op).net()
    net.nodes.pop()  # Flatten
    assert translate_any(net, ROW).outputs == mx.sym.load_json(net.symbol_bytes().decode()).list_outputs()[:1]


def test_small_network_equals_mxnet() -> None:
    compare(small_network(), images(3, 3, CROP, CROP))


@pytest.mark.parametrize("size", [1, 5, 7])
def test_lrn_of_large_values_equals_mxnet(size: int) -> None:
    net = Net()
    net.op("Flatten", "flat", [net.op("LRN", "lrn", [net.variable("data")], {"nsize": str(size), "knorm": "1"})])
    compare(net, 300 * images(2, 20, 5, 5), tolerance=1e-6)


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pad=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    kind=st.sampled_from(["max", "avg"]),
    convention=st.sampled_from(["valid", "full"]),
    count_include_pad=st.booleans(),
)
@examples(150)
def test_pooling_equals_mxnet(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    kind: str,
    convention: str,
    count_include_pad: bool,
) -> None:
    assume(all(pad[a] < kernel[a] <= size[a] + 2 * pad[a] for a in (0, 1)))
    attrs = {"kernel": kernel, "stride": stride, "pad": pad, "pool_type": kind, "pooling_convention": convention}
    texts = {name: str(value) for name, value in attrs.items()} | {"count_include_pad": str(count_include_pad)}
    net = Net()
    net.op("Flatten", "flat", [net.op("Pooling", "pool", [net.variable("data")], texts)])
    x = images(2, 3, *size) - 3  # mostly negative: a padding of zeros would win
    try:
        compare(net, x)
    except UnsupportedAttributeError:
        expected = run_mxnet(net, x)  # only if a window covers nothing
        assert (expected == 0).any() if kind == "avg" else (expected < -1e38).any()


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pad=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilate=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(),
)
@examples(100)
def test_convolution_equals_mxnet(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    dilate: tuple[int, int],
    groups: int,
    bias: bool,
) -> None:
    assume(all(dilate[a] * (kernel[a] - 1) < size[a] + 2 * pad[a] for a in (0, 1)))
    attrs = {"kernel": kernel, "stride": stride, "pad": pad, "dilate": dilate, "num_group": groups, "num_filter": 8}
    texts = {name: str(value) for name, value in attrs.items()} | {"no_bias": str(not bias)}
    net = Net()
    inputs = [net.variable("data"), net.variable("weight", images(8, 4 // groups, *kernel))]
    inputs += [net.variable("bias", images(8))] if bias else []
    net.op("Flatten", "flat", [net.op("Convolution", "conv", inputs, texts)])
    compare(net, images(2, 4, *size), tolerance=1e-4)
