"""NumPy operators that stand for older ones, beside MXNet itself."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export.reader.numpy_names import NUMPY_NAMES
from gluon_lifted.mx import mx
from tests.export.mxnet_files import Net
from tests.export.mxnet_runner import run_mxnet
from tests.export.reader.test_upgrade_mxnet import canonical_name, described

DIFFERENT_ARGUMENTS = {"a", "x", "data"}  # names of the input
X = np.random.default_rng(1).uniform(0.1, 0.9, (2, 1, 3, 4)).astype(np.float32)


def computed(op: str, attrs: dict[str, str], images: np.ndarray) -> np.ndarray:
    net = Net()
    data = net.variable("data")
    net.op(op, "tested", [data, data] if op.endswith("stack") else [data], attrs)
    return run_mxnet(net, images)


@pytest.mark.parametrize(("name", "counterpart"), NUMPY_NAMES.items())
def test_both_names_compute_the_same(name: str, counterpart: str) -> None:
    """For each attribute that they could differ in, too."""
    cases: list[dict[str, str]] = {
        "stack": [{"num_args": "2"}, {"num_args": "2", "axis": "-1"}],
        "squeeze": [{}, {"axis": "1"}, {"axis": "None"}, {"axis": "(-3,)"}],
        "transpose": [{}, {"axes": "(0, 2, 3, 1)"}],
    }.get(counterpart, [{}])
    images = 1 + X if counterpart == "arccosh" else X - 0.5 if counterpart in ("abs", "sign", "fix", "relu") else X
    for attrs in cases:
        np.testing.assert_array_equal(computed(name, attrs, images), computed(counterpart, attrs, images))


@pytest.mark.parametrize(("name", "counterpart"), NUMPY_NAMES.items())
def test_both_names_have_the_same_attributes(name: str, counterpart: str) -> None:
    assert set(described(name)[1]) - DIFFERENT_ARGUMENTS == set(described(counterpart)[1]) - DIFFERENT_ARGUMENTS


def test_every_name_is_an_operator() -> None:
    assert set(NUMPY_NAMES) < set(mx.operator.get_all_registered_operators())
    assert canonical_name("_npi_abs") == "_npi_absolute"
