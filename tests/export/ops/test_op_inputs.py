"""Inputs of the wrong shape or kind: what the translators say."""

from __future__ import annotations

import numpy as np
import pytest

from export.errors import MalformedModelError
from tests.export.op_case import ROW, OpCase
from tests.export.ops_runner import translate_net

VECTORS = {"gamma": np.ones(168, np.float32), "beta": np.zeros(168, np.float32)}


def case(op: str, *sources: str, **attrs: str) -> OpCase:
    return OpCase(op, "wrong", np.add, attrs, sources=sources)


WRONG = [
    (case("batch_dot", "data", "square"), r"its inputs \(N, 4, 6, 7\) and \(N, 1, 6, 6\) are not matrices"),
    (case("batch_dot", "flat", "flat"), "are not matrices for each image"),
    (case("batch_dot", "data", "logistic"), r"\(N, 4, 6, 7\) and \(N, 4, 6, 7\) cannot be multiplied"),
    (case("reshape_like", "data", "peak"), "do not fit"),
    (
        case("reshape_like", "data", "halved", lhs_begin="0", lhs_end="2", rhs_begin="1", rhs_end="3"),
        "do not fit",
    ),
    (case("slice_like", "peak", "data"), r"\(N, 4, 1, 1\) is smaller than \(N, 4, 6, 7\)"),
    (case("slice_like", "data", "peak", axes="(4,)"), r"axes \(4,\) are not axes of its inputs"),
    (case("slice_like", "data", "flat", axes="(2,)"), r"axes \(2,\) are not axes of its inputs"),
    (case("broadcast_like", "data", "peak"), r"\(N, 4, 6, 7\) cannot be broadcast to \(N, 4, 1, 1\)"),
    (case("broadcast_like", "flat", "data"), "cannot be broadcast"),
    (case("broadcast_add", "data", "flat"), "cannot be broadcast"),
    (case("_contrib_BilinearResize2D", "data", "flat", mode="like"), r"its second input is \(N, 168\)"),
    (case("depth_to_space", "data", block_size="3"), "4 channels cannot be divided into blocks of 3 x 3 px"),
    (case("space_to_depth", "data", block_size="2"), "6 x 7 px cannot be divided into blocks of 2 x 2"),
    (case("L2Normalization", "flat", mode="channel"), r"its input is \(N, 168\); mode channel needs"),
    (case("add_n", "data", "peak", num_args="2"), "its inputs differ in shape"),
    (case("add_n", "data", "half", num_args="2"), "its inputs are float32 and float16"),
    (case("Concat", "data", "half", num_args="2"), "its inputs are float32 and float16"),
    (case("broadcast_add", "data", "half"), "its inputs are float32 and float16"),
    (OpCase("InstanceNorm", "rows", np.add, {}, VECTORS, ("flat",)), r"its input is \(N, 168\); expected"),
    (
        OpCase("broadcast_add", "for some images", np.add, {}, {"each": np.ones((2, 4, 6, 7), np.float32)}),
        r"its inputs \(N, 4, 6, 7\) and \(2, 4, 6, 7\) cannot be broadcast",
    ),
    (
        OpCase("broadcast_add", "another type", np.add, {}, {"one": np.ones(1, np.float64)}),
        "its inputs are float32 and float64",
    ),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=lambda value: value.op if isinstance(value, OpCase) else "")
def test_wrong_inputs_are_refused(wrong: OpCase, message: str) -> None:
    net = wrong.net()
    for name, array in wrong.params.items():
        net.params[name] = array
    with pytest.raises(MalformedModelError, match=f"^{wrong.op} 'tested': .*{message}"):
        translate_net(net, ROW)


def test_half_precision_has_infinity_where_numbers_exceed_it() -> None:
    graph = translate_net(OpCase("_mul_scalar", "large", np.add, {"scalar": "1e6"}).net(half=True), ROW)
    assert np.isinf(graph.constants["tested/scalar"])
