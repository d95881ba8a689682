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

DIFFERENT_ARGUMENTS = {"a", "x", "data", "x1", "x2", "lhs", "rhs"}  # names of inputs
X = np.random.default_rng(1).uniform(0.1, 0.9, (2, 1, 3, 4)).astype(np.float32)


CASES: dict[str, list[dict[str, str]]] = {  # counterpart -> attributes in which the two could differ
    "stack": [{"num_args": "2"}, {"num_args": "2", "axis": "-1"}],
    "squeeze": [{}, {"axis": "1"}, {"axis": "None"}, {"axis": "(-3,)"}],
    "transpose": [{}, {"axes": "(0, 2, 3, 1)"}],
    "_arange": [{"start": "0", "stop": "4"}, {"start": "1", "stop": "3", "step": "0.5"}, {"start": "4"}],
    "_ones": [{"shape": "(3, 4)"}, {"shape": "(4,)", "ctx": "cpu(0)", "dtype": "float32"}],
    "_zeros": [{"shape": "(3, 4)"}, {"shape": "(4,)", "ctx": "cpu(0)", "dtype": "float32"}],
    "_mod_scalar": [{}, {"scalar": "0.3"}, {"scalar": "-0.3", "is_int": "False"}],
    "_rmod_scalar": [{}, {"scalar": "0.7"}, {"scalar": "-0.7", "is_int": "False"}],
}
INPUTS = {"_arange": 0, "_ones": 0, "_zeros": 0, "stack": 2, "broadcast_hypot": 2, "broadcast_mod": 2}
SIGNED = {"_mod_scalar", "_rmod_scalar", "abs", "broadcast_mod", "fix", "relu", "rint", "sign", "trunc"}


def computed(op: str, inputs: int, attrs: dict[str, str], images: np.ndarray) -> np.ndarray:
    net = Net()
    data = net.variable("data")
    other = net.op("negative", "other", [data])
    tested = net.op(op, "tested", [data, other][:inputs], attrs)
    if not inputs:
        net.op("broadcast_add", "sum", [data, tested])
    return run_mxnet(net, images)


@pytest.mark.parametrize(("name", "counterpart"), NUMPY_NAMES.items())
def test_both_names_compute_the_same(name: str, counterpart: str) -> None:
    images = 3 * X - 1.5 if counterpart in SIGNED else 1 + X if counterpart == "arccosh" else X
    inputs = INPUTS.get(counterpart, 1)
    for attrs in CASES.get(counterpart, [{}]):
        theirs, ours = (computed(op, inputs, attrs, images) for op in (name, counterpart))
        np.testing.assert_array_equal(theirs, ours)


@pytest.mark.parametrize(("name", "counterpart"), NUMPY_NAMES.items())
def test_both_names_have_the_same_attributes(name: str, counterpart: str) -> None:
    assert set(described(name)[1]) - DIFFERENT_ARGUMENTS == set(described(counterpart)[1]) - DIFFERENT_ARGUMENTS


def test_every_name_is_an_operator() -> None:
    assert set(NUMPY_NAMES) < set(mx.operator.get_all_registered_operators())
    assert canonical_name("_npi_abs") == "_npi_absolute"
