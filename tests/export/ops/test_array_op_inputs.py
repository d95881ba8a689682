"""Inputs and attributes of operators on sequences, indices and matrices that are refused."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from export.errors import MalformedModelError, UnsupportedAttributeError, UnsupportedOpError
from export.graph.graph import FLOAT16
from export.graph.shape import N
from tests.export import sequence_oracles
from tests.export.array_case import ArrayCase, Given, run_graph, whole
from tests.export.array_cases import ARRAY_CASES
from tests.export.layer_cases import rnn_case

REFUSED, WRONG, MIXING = UnsupportedAttributeError, MalformedModelError, UnsupportedOpError
ROWS, WEIGHT = Given((N, 4, 3)), np.zeros((5, 3), np.float32)
LENGTHS = {"use_sequence_length": "True"}
WHOLE, BYTES, TRUTHS, HALF_ROWS = (Given((N, 4), whole(0, 1, dtype)) for dtype in ("int64", "uint8", "bool", "float16"))
PIXELS = Given((N, 2, 3, 3), whole(0, 9, "int32"))
RNN = next(case for case in ARRAY_CASES if case.op == "RNN")


def case(op: str, *operands: Given | np.ndarray, **attrs: str) -> ArrayCase:
    return ArrayCase(op, "wrong", dict(zip("abcde", operands, strict=False)), np.add, attrs)


def rnn(**attrs: str) -> ArrayCase:
    return ArrayCase("RNN", "wrong", RNN.operands, np.add, RNN.attrs | attrs)


def rnn_of(data: Given) -> ArrayCase:
    return ArrayCase("RNN", "wrong", RNN.operands | {"data": data}, np.add, RNN.attrs)


CASES = [
    (case("Embedding", ROWS, WEIGHT, input_dim="6", output_dim="3"), WRONG, r"'b' is float32 \(5, 3\); expected"),
    (case("Embedding", ROWS, ROWS, input_dim="5", output_dim="3"), MIXING, "input 1 is computed"),
    (case("take", ROWS, ROWS), REFUSED, r"axis=0 is not supported \(expected 1 to 2; axis 0 is the batch\)"),
    (case("take", ROWS, Given((N,)), axis="1"), MIXING, "would take elements of all images"),
    (case("take", WEIGHT, np.array([5], np.float32), mode="raise"), WRONG, "an index that an axis of 5 does not have"),
    (case("take", WEIGHT, ROWS, mode="fast"), REFUSED, "mode=fast is not supported"),
    (case("pick", ROWS, Given((N, 4)), axis="None"), REFUSED, "axis=None is not supported"),
    (case("pick", ROWS, Given((N, 3))), WRONG, r"its indices are \(N, 3\); expected \(N, 4\) or \(N, 4, 1\)"),
    (case("one_hot", ROWS, depth="3", dtype="bfloat16"), REFUSED, "dtype=bfloat16 is not supported"),
    (case("one_hot", ROWS, depth="1000000000"), WRONG, "its output for one image would have the shape"),
    (case("stack", ROWS, Given((N, 3)), num_args="2"), WRONG, "differ in shape"),
    (case("stack", ROWS, ROWS, num_args="2", axis="4"), REFUSED, r"axis=4 is not supported \(expected 0 to 3\)"),
    (case("argmax", ROWS), REFUSED, "axis=None is not supported"),
    (case("argmin", ROWS, axis="0"), REFUSED, "axis=0 is not supported"),
    (case("sort", ROWS, axis="None"), REFUSED, "axis=None is not supported"),
    (case("argsort", ROWS, axis="0"), REFUSED, "axis 0 is the batch"),
    (case("SequenceMask", ROWS, Given((N,)), **LENGTHS), REFUSED, "axis=0 is not supported"),
    (case("SequenceMask", ROWS, Given((N, 4)), axis="1", **LENGTHS), WRONG, r"its lengths are \(N, 4\)"),
    (case("SequenceReverse", ROWS, Given((N,)), axis="1", **LENGTHS), REFUSED, "axis=1 is not supported"),
    (case("softmax", ROWS, Given((N, 4)), use_length="True"), WRONG, "its lengths are float32"),
    (case("softmax", ROWS, Given((N,), whole(1, 2, "int32")), use_length="1"), WRONG, r"its lengths are int32 \(N,\)"),
    (case("_contrib_interleaved_matmul_selfatt_qk", Given((4, N, 6)), heads="4"), WRONG, "cannot be divided"),
    (case("_contrib_interleaved_matmul_selfatt_qk", ROWS, heads="1"), WRONG, r"\(N, 4, 3\) is not \(T, N, C\)"),
    (case("_contrib_interleaved_matmul_encdec_qk", ROWS, ROWS, heads="1"), WRONG, "is not"),
    (
        case("_contrib_interleaved_matmul_selfatt_valatt", Given((4, N, 6)), Given((N, 4, 4)), heads="2"),
        WRONG,
        r"its attention is \(N, 4, 4\)",
    ),
    (case("dot", Given((N, 3)), Given((N, 3)), transpose_b="True"), MIXING, "grow with the square of the batch"),
    (case("dot", Given((N, 3)), Given((N, 3)), transpose_a="True"), MIXING, "sums over the batch"),
    (case("dot", Given((N, 3)), WEIGHT), WRONG, "cannot be summed over axes"),
    (case("_linalg_gemm2", ROWS, ROWS, axis="0"), REFUSED, "axis=0 is not supported"),
    (case("norm", ROWS), REFUSED, r"axis=\(0, 1, 2\) is not supported \(expected some of 1 to 2"),
    (case("norm", ROWS, axis="1", ord="3"), REFUSED, "ord=3 is not supported"),
    (case("broadcast_axis", ROWS, axis="1", size="2"), WRONG, "cannot be broadcast"),
    (case("broadcast_to", ROWS, shape="(0, 4)"), WRONG, "cannot be broadcast"),
    (case("broadcast_like", ROWS, ROWS, lhs_axes="(1,)", rhs_axes="(4,)"), WRONG, "do not fit"),
    (case("_contrib_arange_like", ROWS), MIXING, "counts across images"),
    (ArrayCase("_zeros", "wrong", {"a": ROWS}, np.add, {"shape": "(0, 0)"}, takes=()), REFUSED, "at most one unknown"),
    (
        ArrayCase("_full", "wrong", {"a": ROWS}, np.add, {"shape": "(9999999999,)", "value": "1"}, takes=()),
        WRONG,
        "shape",
    ),
    (rnn(mode="lstmp"), REFUSED, "mode=lstmp is not supported"),
    (rnn(projection_size="2"), REFUSED, "projection_size=2 is not supported"),
    (rnn(lstm_state_clip_min="-1"), REFUSED, "lstm_state_clip_min=-1 is not supported"),
    (rnn(state_size="3"), WRONG, r"its state 'state' is \(1, N, 2\); expected \(1, N, 3\)"),
    (rnn(num_layers="999999999"), WRONG, "its state"),
    (case("_contrib_AdaptiveAvgPooling2D", PIXELS, output_size="2"), MIXING, "its input is int32"),
    (case("GridGenerator", PIXELS, transform_type="warp"), MIXING, "its input is int32"),
    (case("_linalg_gemm2", PIXELS, PIXELS, alpha="0.5"), MIXING, "its input is int32"),
    (case("softmax", HALF_ROWS, dtype="float32"), REFUSED, r"dtype=float32 is not supported \(expected float16\)"),
    (case("clip", BYTES, a_min="-1.5", a_max="2"), REFUSED, r"a_min=-1.5 is not supported \(expected 0 to 255"),
    (case("_plus_scalar", BYTES, scalar="300"), REFUSED, r"scalar=300.0 is not supported \(expected 0 to 255"),
    (case("_npi_full_like", TRUTHS, fill_value="1.5"), REFUSED, "fill_value=1.5 is not supported"),
    *(
        (case(op, WHOLE), MIXING, f"{op} 'tested': its input is int64; cast it to float32 first")
        for op in ("radians", "degrees", "smooth_l1", "cbrt", "log1p", "round", "_contrib_div_sqrt_dim")
    ),
    *((case(op, WHOLE, axis="(1,)"), MIXING, "its input is int64") for op in ("_npi_var", "_npi_std")),
    (
        case("Pad", Given((N, 1, 3, 3)), mode="reflect", pad_width="(0, 0, 0, 0, 3, 0, 0, 0)"),
        REFUSED,
        "less than the length",
    ),
    (rnn_of(Given((4, 3, N))), MIXING, "axis 2 of its input .* is the batch"),
    (case("RNN", ROWS, WEIGHT, ROWS, mode="gru", state_size="2", num_layers="1"), MIXING, "is the batch"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), CASES, ids=lambda value: getattr(value, "op", ""))
def test_wrong_inputs_are_refused(wrong: ArrayCase, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        wrong.graph()
    assert "'tested'" in str(caught.value) or error is MIXING


def test_parameters_of_another_size_are_refused() -> None:
    operands = RNN.operands | {"parameters": np.zeros(3, np.float32)}
    with pytest.raises(MalformedModelError, match=r"'parameters' is float32 \(3,\); expected float32 \(56,\)"):
        ArrayCase("RNN", "wrong", operands, np.add, RNN.attrs).graph()


@pytest.mark.parametrize("mode", ["lstm", "gru", "rnn_tanh"])
def test_recurrent_layers_stop_at_the_lengths(mode: str) -> None:
    """As MXNet documents, and as it computes on GPUs; its CPU ignores lengths."""
    base = rnn_case(mode, "lengths", layers=2, directions=2)
    operands = base.operands | {"lengths": Given((N,), whole(1, 4))}
    lengths = ArrayCase("RNN", "lengths", operands, np.add, base.attrs | LENGTHS, outputs=base.outputs)
    feeds = lengths.feeds(3)
    states = [feeds[name] for name in ("state", "memory") if name in feeds]
    settings = {"mode": mode, "units": 2, "layers": 2, "directions": 2, "lengths": feeds["lengths"]}
    expected = partial(sequence_oracles.rnn, **settings)(feeds["data"], base.operands["parameters"], *states)
    for actual, wanted in zip(run_graph(lengths.graph(), feeds), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


def test_states_of_zeros_are_left_out() -> None:
    net = RNN.net()
    net.nodes[2] = {"op": "_zeros", "name": "state", "inputs": [], "attrs": {"shape": "(1, 0, 2)", "__layout__": "LNC"}}
    net.nodes[3] = {"op": "zeros_like", "name": "memory", "inputs": [[2, 0, 0]]}
    graph = RNN.graph(net, shapes={"data": (4, N, 3)})
    assert [node.op for node in graph.nodes] == ["LSTM", "Reshape"]
    feeds = RNN.feeds(3)
    zeros = {name: np.zeros_like(feeds[name]) for name in ("state", "memory")}
    for actual, wanted in zip(run_graph(graph, {"data": feeds["data"]}), RNN.expected(feeds | zeros), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


HALF = {"LayerNorm", "RNN", "SequenceMask", "argmax", "norm", "pick", "sort", "take", "_linalg_gemm2", "softmax"}
HALF_CASES = {case.op: case for case in ARRAY_CASES if case.op in HALF and case.note not in ("of integers",)}


@pytest.mark.parametrize("op", sorted(HALF_CASES))
def test_half_precision(op: str) -> None:
    """Real numbers in half; the results have that type too."""
    single = HALF_CASES[op]

    def halved(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float16) if array.dtype == np.float32 else array

    operands = {
        name: halved(operand)
        if isinstance(operand, np.ndarray)
        else Given(operand.shape, lambda rng, shape, given=operand: halved(given.values(rng, shape)))
        for name, operand in single.operands.items()
    }
    half = ArrayCase(op, "half", operands, single.oracle, single.attrs, single.outputs, takes=single.takes)
    feeds = half.feeds(2)
    for actual, wanted in zip(run_graph(half.graph(), feeds), half.expected(feeds), strict=True):
        assert actual.dtype in (FLOAT16, np.int32, np.int64)
        np.testing.assert_allclose(actual, wanted.astype(np.float32), rtol=1e-2, atol=1e-2)


def test_states_may_be_parameters_of_one_batch_size() -> None:
    feeds = RNN.feeds(3)
    net = RNN.net()
    net.params |= {name: feeds[name] for name in ("state", "memory")}
    graph = RNN.graph(net, shapes={"data": (4, 3, 3)}, batch=3)
    for actual, wanted in zip(run_graph(graph, {"data": feeds["data"]}), RNN.expected(feeds), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


def test_batch_norm_over_the_first_axis() -> None:
    """In a model of one batch size."""
    numbers = np.arange(1, 4, dtype=np.float32)
    operands = {"data": Given((3, 4)), **dict.fromkeys(("gamma", "beta", "moving_mean", "moving_var"), numbers)}
    attrs = {"axis": "0", "fix_gamma": "False", "eps": "0.001"}
    case = ArrayCase(
        "BatchNorm",
        "first axis",
        operands,
        lambda x, *_: (x.T - numbers).T / np.sqrt(numbers + 0.001)[:, None] * numbers[:, None] + numbers[:, None],
        attrs,
    )
    feeds = case.feeds(1)
    np.testing.assert_allclose(run_graph(case.graph(), feeds)[0], case.expected(feeds)[0], rtol=1e-5, atol=1e-5)
