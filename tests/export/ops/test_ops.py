"""Every translator against plain loops."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from export.errors import MalformedModelError, UnsupportedAttributeError, UnsupportedOpError
from export.graph.model import OPSET_OF, build_model
from export.ops.registry import TRANSLATORS, translates
from export.translate import LOSSES
from gluon_lifted.errors import ConfigError
from tests.export.array_cases import ARRAY_CASES
from tests.export.mxnet_files import Net
from tests.export.op_case import ROW, OpCase
from tests.export.op_cases import CASES
from tests.export.op_refusals import REFUSED
from tests.export.ops_runner import (
    inferred_rows,
    rows,
    run_onnx,
    run_reference,
    translate_any,
    translate_net,
)

LATEST = 24  # that onnxruntime 1.31 takes
FIRST_CASE = {case.op: case for case in reversed(CASES)}
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op}: {case.note}")


def images(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, *ROW)).astype(np.float32)


def with_attrs(case: OpCase, attrs: dict[str, str]) -> Net:
    net = case.net()
    node = next(node for node in net.nodes if node["name"] == "tested")
    node["attrs"] = node.get("attrs", {}) | attrs
    return net


def test_every_operator_has_a_case() -> None:
    assert set(TRANSLATORS) == {case.op for case in (*CASES, *ARRAY_CASES)}


def test_second_translator_of_one_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="'LRN' has two translators"):
        translates("LRN")(TRANSLATORS["LRN"])


def between(opset: int) -> object:
    """An opset that `make test` leaves out: neither the oldest nor the newest."""
    return pytest.param(opset, marks=pytest.mark.slow)


@every_case
@pytest.mark.parametrize("n", [1, 3])
def test_equals_oracle(case: OpCase, n: int) -> None:
    actual = run_onnx(translate_net(case.net(), ROW), images(n))
    np.testing.assert_allclose(actual, case.expected(images(n)), rtol=1e-5, atol=1e-5)


@every_case
@pytest.mark.parametrize("opset", [13, between(18), between(21), LATEST])
def test_every_opset_gives_the_same(case: OpCase, opset: int) -> None:
    """Operators change with opsets: Resize with 18, Pad with 18 and 19, ReduceMean with 18, GridSample with 20."""
    graph = translate_net(case.net(), ROW)
    if opset < max(OPSET_OF.get(node.op, 0) for node in graph.nodes):
        with pytest.raises(ConfigError, match=f"needs GridSample of opset 16; opset {opset} was chosen"):
            build_model(graph, opset)
        return
    actual = run_onnx(graph, images(2), opset)
    np.testing.assert_allclose(actual, case.expected(images(2)), rtol=1e-5, atol=1e-5)


@every_case
@pytest.mark.parametrize("opset", [between(15), onnx.defs.onnx_opset_version()])
def test_onnx_itself_agrees(case: OpCase, opset: int) -> None:
    """From 15 on: of older opsets onnx's evaluator takes a batch norm for one in training."""
    if (case.op == "Deconvolution" and "num_group" in case.attrs) or case.attrs.get("sample_type") == "bilinear":
        pytest.skip("onnx's evaluator has no transposed convolution in groups")
    if opset == 15 and case.op in ("BilinearSampler", "SpatialTransformer"):
        pytest.skip("GridSample is of opset 16")
    if case.op == "Pooling" and case.note == "global max, three axes":
        pytest.skip("onnx's evaluator takes the maximum over the last two axes alone")
    actual = run_reference(translate_net(case.net(), ROW), images(2), opset)
    np.testing.assert_allclose(actual, case.expected(images(2)), rtol=1e-5, atol=1e-5)


@every_case
def test_half_precision(case: OpCase) -> None:
    """Images and parameters in half; what is computed stays so, unless the network casts it."""
    graph = translate_net(case.net(half=True), ROW)
    actual = run_onnx(graph, images(2))
    expected = case.expected(images(2))
    single = case.attrs.get("dtype") == "float32" or case.op == "_npi_where_scalar2"  # made of numbers alone
    kept = np.float32 if single else np.float16
    assert actual.dtype == (kept if expected.dtype.kind == "f" else expected.dtype)
    expected = expected.astype(np.float32)
    np.testing.assert_allclose(actual, expected, rtol=1e-2, atol=5e-3 * np.abs(expected).max())


@every_case
def test_shapes_are_those_that_onnx_infers(case: OpCase) -> None:
    graph = translate_net(case.net(), ROW)
    assert inferred_rows(graph) == rows(graph)


@pytest.mark.parametrize("op", sorted(FIRST_CASE))
def test_unknown_attribute_is_refused(op: str) -> None:
    with pytest.raises(UnsupportedAttributeError, match=f"^{op} 'tested': .* attribute mystery=7"):
        translate_net(with_attrs(FIRST_CASE[op], {"mystery": "7"}), ROW)


@pytest.mark.parametrize(("op", "attrs", "message"), REFUSED)
def test_attribute_is_refused(op: str, attrs: dict[str, str], message: str) -> None:
    with pytest.raises(UnsupportedAttributeError) as caught:
        translate_net(with_attrs(FIRST_CASE[op], attrs), ROW)
    assert message in str(caught.value)


@pytest.mark.parametrize("op", sorted({"Convolution", "FullyConnected", "BatchNorm"}))
def test_parameter_of_another_shape_or_type_is_refused(op: str) -> None:
    for index in range(len(FIRST_CASE[op].params)):
        for wrong in (np.zeros((1, 2), np.float32), None):
            net = FIRST_CASE[op].net()
            name = list(net.params)[index]
            net.params[name] = net.params[name].astype(np.float64) if wrong is None else wrong
            with pytest.raises(MalformedModelError, match=f"parameter '{name}' is"):
                translate_net(net, ROW)


@pytest.mark.parametrize("op", sorted(set(FIRST_CASE) - LOSSES))  # of these the second input is a label
def test_too_many_inputs_are_refused(op: str) -> None:
    net = FIRST_CASE[op].net()
    node = next(node for node in net.nodes if node["name"] == "tested")
    node["inputs"].append([0, 0, 0])
    with pytest.raises(MalformedModelError, match=r"inputs; expected"):
        translate_net(net, ROW)


@pytest.mark.parametrize("op", sorted(set(FIRST_CASE) - LOSSES))
def test_too_few_inputs_are_refused(op: str) -> None:
    net = FIRST_CASE[op].net()
    next(node for node in net.nodes if node["name"] == "tested")["inputs"].pop()
    with pytest.raises(MalformedModelError, match=r"inputs; expected"):
        translate_net(net, ROW)


@pytest.mark.parametrize("op", ["Convolution", "Pooling", "LRN"])
def test_images_of_two_axes_are_refused(op: str) -> None:
    net = FIRST_CASE[op].net()
    nodes = [net.nodes[0], {"op": "Flatten", "name": "early", "inputs": [[0, 0, 0]]}, *net.nodes[1:]]
    for node in nodes[2:]:
        node["inputs"] = [[entry[0] + 1, 0, 0] for entry in node["inputs"]]
    net.nodes = nodes
    with pytest.raises(MalformedModelError, match=r"its input is \(N, 168\); expected \(N, C, H, W\)"):
        translate_net(net, ROW)


@pytest.mark.parametrize("op", ["Convolution", "Pooling"])
def test_kernel_beyond_the_image_is_refused(op: str) -> None:
    attrs = {"kernel": "(7, 2)"}
    with pytest.raises(MalformedModelError, match=r"kernel \(7, 2\)"):
        translate_net(with_attrs(FIRST_CASE[op], attrs), ROW)


def test_padding_beyond_the_pooling_kernel_is_refused() -> None:
    with pytest.raises(MalformedModelError, match=r"kernel \(2, 2\) with padding \(0, 2\)"):
        translate_net(with_attrs(FIRST_CASE["Pooling"], {"kernel": "(2, 2)", "pad": "(0, 2)"}), ROW)


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(MalformedModelError, match="cannot be divided into 3 groups"):
        translate_net(with_attrs(FIRST_CASE["Convolution"], {"num_group": "3"}), ROW)


@pytest.mark.parametrize("op", ["elemwise_add", "broadcast_add", "Concat"])
def test_operands_of_other_shapes_are_refused(op: str) -> None:
    net = Net()
    data = net.variable("data")
    small = net.op("Pooling", "small", [data], {"kernel": "(2, 2)"})
    net.op(op, "tested", [data, small], {"num_args": "2"} if op == "Concat" else {})
    with pytest.raises(MalformedModelError, match=f"{op} 'tested': its inputs"):
        translate_net(net, ROW)


def test_elementwise_does_not_broadcast() -> None:
    net = FIRST_CASE["broadcast_mul"].net()
    next(node for node in net.nodes if node["name"] == "tested")["op"] = "elemwise_mul"
    with pytest.raises(MalformedModelError, match="differ in shape"):
        translate_net(net, ROW)


def test_computed_weight_is_refused() -> None:
    net = FIRST_CASE["Convolution"].net()
    node = next(node for node in net.nodes if node["name"] == "tested")
    node["inputs"] = [[0, 0, 0], [0, 0, 0], [2, 0, 0]]
    with pytest.raises(UnsupportedOpError, match="is computed by the network; expected a parameter"):
        translate_net(net, ROW)


def test_negative_variance_is_refused() -> None:
    net = FIRST_CASE["BatchNorm"].net()
    net.params["moving_var"] = np.array([1, 1, -0.5, 1], np.float32)
    with pytest.raises(MalformedModelError, match="a variance in 'moving_var' is negative"):
        translate_net(net, ROW)


def test_zero_row_stays_zero_when_normalized() -> None:
    actual = run_onnx(translate_net(FIRST_CASE["L2Normalization"].net(), ROW), np.zeros((2, *ROW), np.float32))
    assert not actual.any()


def test_rows_are_normalized_however_small() -> None:
    case = FIRST_CASE["L2Normalization"]
    tiny = images(2) * np.float32(1e-6)
    np.testing.assert_allclose(run_onnx(translate_net(case.net(), ROW), tiny), case.expected(tiny), rtol=1e-4)


def test_dropout_and_copies_leave_no_node() -> None:
    for op in ("Dropout", "_copy", "BlockGrad"):
        assert [node.op for node in translate_net(FIRST_CASE[op].net(), ROW).nodes] == ["Flatten"]


@pytest.mark.parametrize(("attrs", "row"), [({}, (4,)), ({"axis": "()"}, (4, 1, 1)), ({"axis": "-1"}, (4, 1))])
def test_squeeze_keeps_the_batch(attrs: dict[str, str], row: tuple[int, ...]) -> None:
    net = Net()
    peak = net.op("Pooling", "peak", [net.variable("data")], {"global_pool": "True"})
    net.op("squeeze", "tested", [peak], attrs)
    assert run_onnx(translate_any(net, ROW), images(1)).shape == (1, *row)


def test_second_output_of_a_norm_is_refused() -> None:
    for op in ("BatchNorm", "GroupNorm", "LayerNorm"):
        net = with_attrs(FIRST_CASE[op], {"output_mean_var": "True"})
        net.nodes[-1]["inputs"] = [[len(net.nodes) - 2, 1, 0]]
        with pytest.raises(UnsupportedOpError, match=f"output 1 of {op} 'tested' is used"):
            translate_net(net, ROW)
