"""Cases of operators on sequences, indices and matrices; the batch N is on any axis. Defaults come first."""

from __future__ import annotations

from functools import partial

import numpy as np

from export.graph.shape import N
from tests.export import oracles, sequence_oracles
from tests.export.array_case import ArrayCase, Given, normal, whole
from tests.export.detection_cases import DETECTION_CASES
from tests.export.layer_cases import ATTENTION, RECURRENT

RNG = np.random.default_rng(6)
TABLE = normal(RNG, (5, 3))
ROWS, STEPS = Given((N, 4, 3)), Given((4, N, 6))  # batch first, and time first
LENGTHS = Given((N,), whole(1, 4))


INDEXING = [
    ArrayCase(
        "Embedding",
        "real indices, some beyond",
        {"data": Given((N, 4), lambda rng, shape: rng.uniform(-3, 8, shape).astype(np.float32)), "weight": TABLE},
        sequence_oracles.embedding,
        {"input_dim": "5", "output_dim": "3", "dtype": "float32", "sparse_grad": "False"},
    ),
    ArrayCase(
        "Embedding",
        "integers, time first",
        {"data": Given((2, N), whole(-1, 6, "int32")), "weight": TABLE},
        sequence_oracles.embedding,
        {"input_dim": "5", "output_dim": "3"},
    ),
    ArrayCase(
        "take",
        "defaults: rows, clipped",
        {"table": TABLE, "indices": Given((N, 2), whole(-2, 7))},
        sequence_oracles.take,
    ),
    ArrayCase(
        "take",
        "wrapped, along an axis",
        {"data": ROWS, "indices": np.array([[0.9, -1], [5, 2.6]], np.float32)},
        partial(sequence_oracles.take, axis=1, mode="wrap"),
        {"axis": "1", "mode": "wrap"},
    ),
    ArrayCase(
        "take",
        "wrapped indices of the batch",
        {"table": TABLE, "indices": Given((N,), whole(-9, 9, "int64"))},
        partial(sequence_oracles.take, mode="wrap"),
        {"mode": "wrap"},
    ),
    ArrayCase(
        "take",
        "raise",
        {"data": ROWS, "indices": np.array([2, 0], np.float32)},
        partial(sequence_oracles.take, axis=2),
        {"axis": "-1", "mode": "raise"},
    ),
    ArrayCase(
        "pick",
        "defaults: the last axis, clipped",
        {"data": ROWS, "indices": Given((N, 4), whole(-2, 5))},
        sequence_oracles.pick,
    ),
    ArrayCase(
        "pick",
        "set",
        {"data": ROWS, "indices": Given((N, 1, 3), whole(-6, 9, "int32"))},
        partial(sequence_oracles.pick, axis=1, mode="wrap", keepdims=True),
        {"axis": "1", "mode": "wrap", "keepdims": "True"},
    ),
    ArrayCase(
        "one_hot",
        "defaults",
        {"data": Given((N, 2), whole(-2, 4))},
        partial(sequence_oracles.one_hot, depth=3),
        {"depth": "3"},
    ),
    ArrayCase(
        "one_hot",
        "set",
        {"data": Given((N,), whole(-2, 4, "int32"))},
        partial(sequence_oracles.one_hot, depth=3, on=2.7, off=-1.5, dtype="int32"),
        {"depth": "3", "on_value": "2.7", "off_value": "-1.5", "dtype": "int32"},
    ),
    ArrayCase(
        "stack", "defaults", {"a": ROWS, "b": ROWS}, lambda *xs: np.array([list(x) for x in xs]), {"num_args": "2"}
    ),
    ArrayCase(
        "stack",
        "behind",
        {"a": ROWS, "b": ROWS},
        lambda *xs: np.concatenate([x[..., None] for x in xs], -1),
        {"num_args": "2", "axis": "-1"},
    ),
]
TIES = Given((N, 4, 3), whole(0, 2))
SORTING = [
    ArrayCase("argmax", "last", {"data": TIES}, partial(sequence_oracles.argument, axis=2), {"axis": "-1"}),
    ArrayCase(
        "argmax",
        "time first, kept",
        {"data": Given((4, N, 3), whole(0, 2))},
        partial(sequence_oracles.argument, axis=0, keepdims=True),
        {"axis": "0", "keepdims": "True"},
    ),
    ArrayCase(
        "argmax",
        "of integers",
        {"data": Given((N, 5), whole(0, 9, "int32"))},
        partial(sequence_oracles.argument, axis=1),
        {"axis": "1"},
    ),
    ArrayCase(
        "argmin", "one", {"data": TIES}, partial(sequence_oracles.argument, axis=1, largest=False), {"axis": "1"}
    ),
    ArrayCase("argmax_channel", "defaults", {"data": TIES}, partial(sequence_oracles.argument, axis=1)),
    ArrayCase("sort", "defaults", {"data": TIES}, sequence_oracles.ordered),
    ArrayCase(
        "sort",
        "set",
        {"data": STEPS},
        partial(sequence_oracles.ordered, axis=0, ascending=False),
        {"axis": "0", "is_ascend": "False"},
    ),
    ArrayCase("argsort", "defaults", {"data": ROWS}, partial(sequence_oracles.ordered, indices=True)),
    ArrayCase(
        "argsort",
        "set",
        {"data": ROWS},
        partial(sequence_oracles.ordered, axis=1, ascending=False, indices=True, dtype="int32"),
        {"axis": "1", "is_ascend": "0", "dtype": "int32"},
    ),
]
WITH_LENGTHS = {"use_sequence_length": "True"}
SEQUENCES = [
    ArrayCase("SequenceMask", "defaults: nothing", {"data": STEPS}, lambda x: 2 * x, then="elemwise_add"),
    ArrayCase(
        "SequenceMask",
        "lengths",
        {"data": STEPS, "lengths": Given((N,), whole(0, 5))},
        sequence_oracles.sequence_mask,
        WITH_LENGTHS,
    ),
    ArrayCase(
        "SequenceMask",
        "batch first, integers",
        {"data": Given((N, 4), whole(1, 9, "int32")), "lengths": Given((N,), whole(0, 5, "int32"))},
        partial(sequence_oracles.sequence_mask, value=-1, axis=1),
        {"use_sequence_length": "1", "axis": "1", "value": "-1"},
    ),
    ArrayCase("SequenceLast", "defaults: the last", {"data": STEPS}, lambda x: x[3]),
    ArrayCase(
        "SequenceLast", "lengths", {"data": STEPS, "lengths": LENGTHS}, sequence_oracles.sequence_last, WITH_LENGTHS
    ),
    ArrayCase(
        "SequenceLast",
        "batch first",
        {"data": ROWS, "lengths": Given((N,), whole(1, 4, "int32"))},
        partial(sequence_oracles.sequence_last, axis=1),
        {"use_sequence_length": "True", "axis": "1"},
    ),
    ArrayCase("SequenceReverse", "defaults: all of it", {"data": STEPS}, lambda x: x[::-1]),
    ArrayCase(
        "SequenceReverse",
        "lengths",
        {"data": STEPS, "lengths": LENGTHS},
        sequence_oracles.sequence_reverse,
        WITH_LENGTHS,
    ),
    ArrayCase("softmin", "time first", {"data": STEPS}, lambda x: np.exp(-x) / np.exp(-x).sum(-1, keepdims=True)),
    ArrayCase(
        "softmax",
        "of lengths",
        {"data": ROWS, "lengths": Given((N, 4), whole(0, 3, "int32"))},
        sequence_oracles.softmax_of_length,
        {"use_length": "True"},
    ),
    ArrayCase(
        "softmax",
        "of lengths, set",
        {"data": ROWS, "lengths": Given((N, 3), whole(0, 4, "int64"))},
        partial(sequence_oracles.softmax_of_length, axis=1, temperature=0.5),
        {"use_length": "True", "axis": "1", "temperature": "0.5"},
    ),
    ArrayCase(
        "LayerNorm",
        "time first",
        {"data": STEPS, "gamma": normal(RNG, (6,)), "beta": normal(RNG, (6,))},
        oracles.layer_norm,
    ),
    ArrayCase(
        "FullyConnected",
        "time first",
        {"data": STEPS, "weight": normal(RNG, (5, 6)), "bias": normal(RNG, (5,))},
        partial(oracles.fully_connected, flatten=False),
        {"num_hidden": "5", "flatten": "False"},
    ),
    ArrayCase("mean", "over time", {"data": STEPS}, lambda x: x.mean(0), {"axis": "0"}),
    *(
        ArrayCase(
            "Cast", f"to {dtype}", {"data": Given((N, 4), values)}, lambda x, t=dtype: x.astype(t), {"dtype": dtype}
        )
        for dtype, values in {"int32": normal, "int64": normal, "uint8": whole(0, 3), "bool": whole(0, 1)}.items()
    ),
    ArrayCase(
        "Cast",
        "from integers",
        {"data": Given((N, 4), whole(-3, 3, "int32"))},
        lambda x: x.astype(np.float32),
        {"dtype": "float32"},
    ),
]
MATRIX, GRID = normal(RNG, (3, 2)), normal(RNG, (3, 2, 2))
MATRICES = [
    ArrayCase("dot", "defaults", {"data": Given((N, 3)), "weight": MATRIX}, sequence_oracles.dot),
    ArrayCase("dot", "of more axes", {"data": ROWS, "weight": GRID}, sequence_oracles.dot),
    ArrayCase(
        "dot",
        "transposed",
        {"weight": normal(RNG, (3, 2)), "data": Given((N, 3))},
        partial(sequence_oracles.dot, first=True, last=True),
        {"transpose_a": "True", "transpose_b": "True", "forward_stype": "None"},
    ),
    ArrayCase(
        "dot",
        "of more axes, transposed",
        {"data": Given((4, N, 2)), "weight": normal(RNG, (3, 2, 4))},
        partial(sequence_oracles.dot, first=True, last=True),
        {"transpose_a": "1", "transpose_b": "1"},
    ),
    ArrayCase("dot", "by a vector", {"data": ROWS, "weight": normal(RNG, (3,))}, sequence_oracles.dot),
    ArrayCase("_linalg_gemm2", "defaults", {"a": Given((N, 2, 3)), "b": Given((N, 3, 4))}, np.matmul),
    ArrayCase(
        "_linalg_gemm2",
        "set",
        {"a": Given((N, 3, 2)), "b": Given((N, 4, 3))},
        lambda a, b: 0.5 * a.swapaxes(1, 2) @ b.swapaxes(1, 2),
        {"transpose_a": "True", "transpose_b": "True", "alpha": "0.5", "axis": "-2"},
    ),
    ArrayCase("_linalg_gemm2", "batch in the matrix", {"a": Given((N, 3)), "b": MATRIX}, np.matmul),
    ArrayCase("norm", "one", {"data": ROWS}, lambda x: np.sqrt((x * x).sum(1)), {"axis": "1"}),
    ArrayCase("norm", "set", {"data": ROWS}, lambda x: np.sqrt((x * x).sum(2)), {"axis": "(-1,)", "ord": "2"}),
    ArrayCase(
        "norm",
        "sum of two, kept",
        {"data": ROWS},
        lambda x: np.abs(x).sum((1, 2), keepdims=True),
        {"axis": "(1, 2)", "ord": "1", "keepdims": "True", "out_dtype": "None"},
    ),
]
SHAPES = [
    ArrayCase(
        "_contrib_arange_like",
        "an axis",
        {"data": ROWS},
        lambda x: x + np.arange(3),
        {"axis": "-1"},
        then="broadcast_add",
    ),
    ArrayCase(
        "_contrib_arange_like",
        "set",
        {"data": Given((N, 3, 4))},
        lambda x: x + np.array([2, 2, 2.5, 2.5]),
        {"axis": "2", "start": "2", "step": "0.5", "repeat": "2"},
        then="broadcast_add",
    ),
    *(
        ArrayCase(
            op,
            "for each image",
            {"data": Given((N, 3))},
            lambda x, number=number: x + number,
            {"shape": "(0, 3)", "ctx": "cpu(0)", "dtype": "float32"} | attrs,
            then="elemwise_add",
            takes=(),
        )
        for op, number, attrs in (("_zeros", 0, {}), ("_ones", 1, {}), ("_full", 2.5, {"value": "2.5"}))
    ),
    ArrayCase("_ones", "known", {"data": ROWS}, lambda x: x + 1, {"shape": "(1, 3)"}, then="broadcast_add", takes=()),
    ArrayCase(
        "broadcast_axis",
        "two",
        {"data": Given((1, N, 1))},
        lambda x: np.tile(x, (2, 1, 3)),
        {"axis": "(0, 2)", "size": "(2, 3)"},
    ),
    ArrayCase(
        "broadcast_axis", "one", {"data": Given((N, 1))}, lambda x: np.tile(x, (1, 3)), {"axis": "1", "size": "3"}
    ),
    ArrayCase(
        "broadcast_to", "set", {"data": Given((N, 1, 3))}, lambda x: np.tile(x, (1, 2, 1)), {"shape": "(0, 2, 3)"}
    ),
    ArrayCase(
        "broadcast_like",
        "numbers",
        {"data": Given((N, 1)), "other": Given((5, N))},
        lambda x, y: np.tile(x, (1, 5)),
        {"lhs_axes": "(1,)", "rhs_axes": "(-2,)"},
    ),
    ArrayCase(
        "broadcast_like",
        "the batch",
        {"data": Given((1, 3, 1)), "other": Given((5, N))},
        lambda x, y: np.tile(x, (y.shape[1], 1, 5)),
        {"lhs_axes": "(0, -1)", "rhs_axes": "(1, 0)"},
    ),
]


ARRAY_CASES = [*DETECTION_CASES, *INDEXING, *SORTING, *SEQUENCES, *ATTENTION, *MATRICES, *SHAPES, *RECURRENT]
