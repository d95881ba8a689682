"""Inputs of MXNet's NumPy operators that do not fit, or that would mix images."""

from __future__ import annotations

import numpy as np
import pytest

from export.errors import MalformedModelError, UnsupportedAttributeError, UnsupportedOpError
from export.graph.model import build_model
from tests.export.mxnet_files import Net
from tests.export.op_case import ROW, OpCase
from tests.export.ops_runner import run_onnx, translate_any, translate_net


def case(op: str, *sources: str, **attrs: str) -> OpCase:
    return OpCase(op, "wrong", np.add, attrs, sources=sources)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (case("_npi_add", "data", "flat"), r"its inputs \(N, 4, 6, 7\) and \(N, 168\) cannot be broadcast"),
        (case("_npi_less", "data", "flat"), "cannot be broadcast"),
        (case("_npi_less", "data", "half"), "its inputs are float32 and float16"),
        (case("_npi_where", "data", "flat", "data"), "cannot be broadcast"),
        (case("_np_dot", "columns", "columns"), "cannot be summed"),
        (case("_npi_matmul", "data", "data"), "cannot be multiplied"),
        (case("_npi_tensordot", "data", "data", a_axes_summed="(1,)", b_axes_summed="(2,)"), "cannot be summed over"),
        (case("_npi_tensordot", "data", "data", a_axes_summed="(1, 1)", b_axes_summed="(1, 1)"), "cannot be summed"),
        (case("_npi_tensordot", "data", "data", a_axes_summed="(1, 2)", b_axes_summed="(1,)"), "cannot be summed"),
        (case("_npi_tensordot", "data", "data", a_axes_summed="(4,)", b_axes_summed="(4,)"), "cannot be summed"),
        (case("_npi_einsum", "data", "flat", num_args="2", subscripts="abcd,abc"), "do not fit its inputs"),
        (case("_npi_einsum", "data", "flat", num_args="2", subscripts="abcd,ac"), "axis c has the sizes 6 and 168"),
        (case("_npi_einsum", "data", num_args="1", subscripts="abcd->az"), "or one that no input has"),
        (case("_np_reshape", "data", newshape="(-1, 5)"), "cannot be reshaped to"),
        (case("_npx_reshape", "data", newshape="(-2, -3, -4)"), "-3 drops axes of length 1, not of 4"),
        (case("_npx_reshape", "data", newshape="(-4, -2)"), "no axis is left for -2"),
        (case("_npx_reshape", "data", newshape="(-2, -6, 2)"), "-6 splits an axis into the two sizes after it"),
        (case("_npx_reshape", "data", newshape="(-2, -6, 3, -1, -4)"), "4 cannot be split into 3 and -1"),
        (case("_np_moveaxis", "data", source="(1, 2)", destination="1"), "differ in length"),
        (case("_np_moveaxis", "data", source="(1, 1)", destination="(1, 2)"), "are not different axes"),
        (case("_npi_broadcast_to", "data", shape="(3, 4, 6, 7)"), "the batch size is not known"),
        (case("_npi_broadcast_to", "data", shape="(4, 6, 7)"), "cannot be broadcast to"),
        (case("_npi_pad", "data", pad_width="((1, 1), (2, 2))"), "pad_width has 2 pairs; its input"),
        (case("_npi_pad", "data", pad_width="(1, 1)"), "is not a tuple of pairs of integers"),
        (case("_split_v2", "data", sections="3"), "4 cannot be split into 3 equal parts"),
        (case("_split_v2", "data", indices="(0, 3, 2)"), r"cannot be split at \(0, 3, 2\)"),
        (case("_split_v2", "data", indices="(1, 3)"), "cannot be split at"),
    ],
    ids=lambda value: value.op if isinstance(value, OpCase) else "",
)
def test_wrong_inputs_are_refused(wrong: OpCase, message: str) -> None:
    with pytest.raises(MalformedModelError, match=f"^{wrong.op} 'tested': .*{message}"):
        translate_net(wrong.net(), ROW)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (case("_npi_tensordot", "data", "data", a_axes_summed="(0,)", b_axes_summed="(0,)"), "sums over the batch"),
        (case("_npi_einsum", "data", "flat", num_args="2", subscripts="abcd,ae->bcde"), "sums over the batch"),
        (case("_npi_tensordot", "data", "data", a_axes_summed="(1,)", b_axes_summed="(1,)"), "square of the batch"),
        (case("_npi_einsum", "flat", "flat", num_args="2", subscripts="ab,cb->ac"), "square of the batch"),
        (case("_npi_add", "positive", "positive"), "its inputs are bool; expected numbers"),
        (case("_npi_less", "positive", "positive"), "its input is bool; expected numbers"),
    ],
    ids=lambda value: value.op if isinstance(value, OpCase) else "",
)
def test_products_over_the_batch_and_of_truth_values_are_refused(wrong: OpCase, message: str) -> None:
    with pytest.raises(UnsupportedOpError, match=message):
        translate_net(wrong.net(), ROW)


def test_product_over_the_batch_is_refused() -> None:
    net = Net()
    flat = net.op("Flatten", "flat", [net.variable("data")])
    net.op("_npi_matmul", "tested", [net.op("_np_transpose", "turned", [flat]), flat])
    with pytest.raises(UnsupportedOpError, match="_npi_matmul 'tested': it sums over the batch"):
        translate_any(net, ROW)


def test_stacks_of_vectors_are_refused() -> None:
    net = Net()
    vector = net.op("_np_sum", "vector", [net.variable("data")], {"axis": "(1, 2, 3)"})
    net.op("_npi_hstack", "tested", [vector, vector], {"num_args": "2"})
    with pytest.raises(UnsupportedOpError, match=r"its input \(N,\) has fewer than 2 axes. Use concatenate or stack"):
        translate_any(net, ROW)


@pytest.mark.parametrize(
    ("op", "attrs", "expected"),
    [
        ("_npi_add_scalar", {"scalar": "2"}, lambda x: (x > 0) + np.int64(2)),
        ("_npi_multiply_scalar", {"scalar": "0.5"}, lambda x: (x > 0) * np.int64(0)),
        ("_npi_true_divide_scalar", {"scalar": "2"}, lambda x: ((x > 0) / 2).astype(np.float32)),
        ("_npi_mean", {"axis": "1"}, lambda x: (x > 0).mean(axis=1, dtype=np.float32)),
        ("_np_sum", {"axis": "1"}, lambda x: (x > 0).sum(axis=1)),
    ],
)
def test_truth_values_become_numbers(op: str, attrs: dict[str, str], expected: object) -> None:
    assert callable(expected)
    net = Net()
    net.op(op, "tested", [net.op("_npi_greater_scalar", "truth", [net.variable("data")], {"scalar": "0"})], attrs)
    x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    actual = run_onnx(translate_any(net, (3, 4)), x)
    assert actual.dtype == expected(x).dtype
    np.testing.assert_allclose(actual, expected(x), rtol=1e-6)


def test_function_that_onnx_has_for_real_numbers_alone_is_refused() -> None:
    net = Net()
    truth = net.op("_npi_greater_scalar", "truth", [net.variable("data")], {"scalar": "0"})
    net.op("_npi_tanh", "tested", [truth])
    with pytest.raises(UnsupportedOpError, match=r"ONNX cannot express .*Tanh.*tested.*tensor\(bool\)"):
        build_model(translate_any(net, ROW), 17)


def test_numbers_are_not_flattened() -> None:
    net = Net()
    vectors = [net.variable(name, np.ones(3, np.float32)) for name in ("left", "right")]
    net.op("Flatten", "tested", [net.op("_npi_matmul", "number", vectors)])
    with pytest.raises(MalformedModelError, match="Flatten 'tested': its input is a number"):
        translate_any(net, ROW)


def test_fraction_beside_integers_is_refused() -> None:
    net = Net()
    truth = net.op("_npi_greater_scalar", "truth", [net.variable("data")], {"scalar": "0"})
    count = net.op("_np_sum", "count", [truth], {"axis": "1"})
    net.op("_npi_less_scalar", "tested", [count], {"scalar": "1.5"})
    with pytest.raises(UnsupportedAttributeError, match=r"scalar=1\.5 is not supported \(expected a whole number"):
        translate_any(net, ROW)


def test_number_too_large_beside_integers_is_refused() -> None:
    with pytest.raises(UnsupportedAttributeError, match=r"scalar=1e\+38 is not supported"):
        translate_net(case("_npi_add_scalar", "positive", scalar="1e38").net(), ROW)
