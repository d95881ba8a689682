"""Translators of operators on sequences, indices and matrices against MXNet itself."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export.graph.shape import N
from tests.export.array_case import ArrayCase, Given, run_graph
from tests.export.array_cases import ARRAY_CASES
from tests.export.mxnet_runner import run_mxnet_arrays


@pytest.mark.parametrize("case", ARRAY_CASES, ids=lambda case: f"{case.op}: {case.note}")
def test_equals_mxnet(case: ArrayCase) -> None:
    feeds = case.feeds(2)
    outputs = run_graph(case.graph(), feeds)
    for actual, expected in zip(outputs, run_mxnet_arrays(case.net(), feeds), strict=True):
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        *((op, {}) for op in ("sum", "max", "norm", "argmax", "argmin")),
        *((op, {"keepdims": "True"}) for op in ("sum", "norm", "argmax")),
        *((op, {"axis": "0"}) for op in ("mean", "norm", "argmax", "sort", "argsort", "softmax")),
        ("SequenceLast", {"axis": "0"}),
        ("take", {}),
        ("pick", {"axis": "0"}),
        ("dot", {"transpose_a": "True"}),
        ("dot", {"transpose_b": "True"}),
    ],
)
def test_operators_of_the_whole_batch_equal_mxnet(op: str, attrs: dict[str, str]) -> None:
    """In a model of one batch size."""
    takes_two = op in ("take", "pick", "dot")
    operands = {"data": Given((N, 3)), **({"other": Given((3,) if op == "pick" else (N, 3))} if takes_two else {})}
    case = ArrayCase(op, "all", operands, np.add, attrs)
    feeds = case.feeds(4)
    outputs = run_graph(case.graph(shapes={name: array.shape for name, array in feeds.items()}, batch=4), feeds)
    for actual, expected in zip(outputs, run_mxnet_arrays(case.net(), feeds), strict=True):
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
