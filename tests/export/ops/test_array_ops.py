"""Translators of operators on sequences, indices and matrices against plain loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from export.errors import MalformedModelError, UnsupportedAttributeError
from export.graph.model import build_model
from tests.export.array_case import ArrayCase, contradictions, run_graph
from tests.export.array_cases import ARRAY_CASES

if TYPE_CHECKING:
    from tests.export.mxnet_files import Net

LATEST = 24  # that onnxruntime 1.31 takes
NEWEST = {"_contrib_ROIAlign": 21, "ROIPooling": 21}  # opsets for which onnxruntime has their kernels
FIRST_CASE = {case.op: case for case in reversed(ARRAY_CASES)}
every_case = pytest.mark.parametrize("case", ARRAY_CASES, ids=lambda case: f"{case.op}: {case.note}")
every_op = pytest.mark.parametrize("op", sorted(FIRST_CASE))


def the_node(net: Net) -> dict[str, object]:
    return next(node for node in net.nodes if node["name"] == "tested")


def with_attrs(case: ArrayCase, attrs: dict[str, str]) -> Net:
    net = case.net()
    the_node(net)["attrs"] = case.attrs | attrs
    return net


def compare(case: ArrayCase, outputs: list[np.ndarray], feeds: dict[str, np.ndarray]) -> None:
    expected = case.expected(feeds)
    for actual, wanted in zip(outputs, expected, strict=True):
        assert actual.shape == wanted.shape
        assert actual.dtype.kind == wanted.dtype.kind
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


@every_case
@pytest.mark.parametrize("n", [1, 3])
def test_equals_oracle(case: ArrayCase, n: int) -> None:
    feeds = case.feeds(n)
    compare(case, run_graph(case.graph(), feeds), feeds)


@every_case
@pytest.mark.parametrize("opset", [13, LATEST])
def test_every_opset_gives_the_same(case: ArrayCase, opset: int) -> None:
    feeds = case.feeds(2)
    compare(case, run_graph(case.graph(), feeds, min(opset, NEWEST.get(case.op, LATEST))), feeds)


@every_case
def test_fixed_batch_gives_the_same(case: ArrayCase) -> None:
    feeds = case.feeds(2)
    graph = case.graph(shapes={name: array.shape for name, array in feeds.items()}, batch=2)
    compare(case, run_graph(graph, feeds), feeds)


@every_case
@pytest.mark.slow
def test_onnx_itself_agrees(case: ArrayCase) -> None:
    if case.op == "ROIPooling":
        pytest.skip("onnx's evaluator has no MaxRoiPool")
    if case.op == "RNN":
        pytest.skip("onnx's evaluator has neither two directions nor states of several sequences")
    feeds = case.feeds(2)
    model = build_model(case.graph(), onnx.defs.onnx_opset_version())
    compare(case, ReferenceEvaluator(model).run(None, feeds), feeds)


@every_case
def test_shapes_are_those_that_onnx_infers(case: ArrayCase) -> None:
    assert contradictions(case.graph()) == []


@every_op
def test_unknown_attribute_is_refused(op: str) -> None:
    case = FIRST_CASE[op]
    with pytest.raises(UnsupportedAttributeError, match=f"^{op} 'tested': .* attribute mystery=7"):
        case.graph(with_attrs(case, {"mystery": "7"}))


@every_op
def test_other_number_of_inputs_is_refused(op: str) -> None:
    case = FIRST_CASE[op]
    net = case.net()
    inputs = the_node(net)["inputs"]
    for wrong in ([], inputs[:-1], [*inputs, [0, 0, 0]]):
        if wrong != inputs:
            the_node(net)["inputs"] = wrong
            with pytest.raises(MalformedModelError, match=r"inputs; expected"):
                case.graph(net)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e30])
def test_parameter_that_is_no_index_is_refused(number: float) -> None:
    case = next(case for case in ARRAY_CASES if case.op == "take" and "wrapped, along" in case.note)
    net = case.net()
    net.params["indices"] = np.array([[number, 1]], np.float32)
    with pytest.raises(MalformedModelError, match="parameter 'indices' holds NaN, infinity or a number too large"):
        case.graph(net)
