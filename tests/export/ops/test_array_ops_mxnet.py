"""Translators of operators on sequences, indices and matrices against MXNet itself."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from tests.export.array_case import ArrayCase, run_graph
from tests.export.array_cases import ARRAY_CASES
from tests.export.mxnet_runner import run_mxnet_arrays


@pytest.mark.parametrize("case", ARRAY_CASES, ids=lambda case: f"{case.op}: {case.note}")
def test_equals_mxnet(case: ArrayCase) -> None:
    feeds = case.feeds(2)
    outputs = run_graph(case.graph(), feeds)
    for actual, expected in zip(outputs, run_mxnet_arrays(case.net(), feeds), strict=True):
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
