"""Recurrent layers, attention and indices with random sizes, against MXNet itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export.graph.shape import Batch, N
from tests.examples import examples
from tests.export.array_case import ArrayCase, Given, normal, run_graph, whole
from tests.export.mxnet_runner import run_mxnet_arrays

pytestmark = pytest.mark.slow

SIZES = st.integers(1, 4)


def agrees(case: ArrayCase, n: int) -> None:
    feeds = case.feeds(n)
    for actual, expected in zip(run_graph(case.graph(), feeds), run_mxnet_arrays(case.net(), feeds), strict=True):
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@given(
    mode=st.sampled_from(["lstm", "gru", "rnn_tanh", "rnn_relu"]),
    sizes=st.tuples(SIZES, SIZES, SIZES, SIZES),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
)
@examples(15, derandomize=True)
def test_rnn(mode: str, sizes: tuple[int, ...], layers: int, bidirectional: bool) -> None:
    time, n, width, units = sizes
    gates, directions = {"lstm": 4, "gru": 3}.get(mode, 1), 1 + bidirectional
    widths = [width] + [units * directions] * (layers - 1)
    count = sum(directions * gates * units * (inputs + units + 2) for inputs in widths)
    state = Given((layers * directions, N, units))
    operands = {
        "data": Given((time, N, width)),
        "parameters": normal(np.random.default_rng(count), (count,)),
        "state": state,
        **({"memory": state} if mode == "lstm" else {}),
    }
    attrs = {"mode": mode, "state_size": units, "num_layers": layers, "bidirectional": bidirectional}
    texts = {name: str(value) for name, value in attrs.items()} | {"state_outputs": "True"}
    agrees(ArrayCase("RNN", "random", operands, np.add, texts, outputs=3 if mode == "lstm" else 2), n)


@given(sizes=st.tuples(SIZES, SIZES, SIZES, SIZES), heads=st.integers(1, 3))
@examples(15, derandomize=True)
def test_attention(sizes: tuple[int, ...], heads: int) -> None:
    time, others, n, depth = sizes
    attrs = {"heads": str(heads)}
    both, queries = Given((time, N, heads * 3 * depth)), Given((time, N, heads * depth))
    memory = Given((others, N, heads * 2 * depth))
    for name, operands in {
        "selfatt_qk": {"a": both},
        "selfatt_valatt": {"a": both, "b": Given((Batch(heads), time, time))},
        "encdec_qk": {"a": queries, "b": memory},
        "encdec_valatt": {"a": memory, "b": Given((Batch(heads), time, others))},
    }.items():
        agrees(ArrayCase(f"_contrib_interleaved_matmul_{name}", "random", operands, np.add, attrs), n)


@given(
    row=st.tuples(SIZES, SIZES),
    n=SIZES,
    axis=st.integers(1, 2),
    mode=st.sampled_from(["clip", "wrap"]),
    keepdims=st.booleans(),
)
@examples(15, derandomize=True)
def test_indices(row: tuple[int, int], n: int, axis: int, mode: str, keepdims: bool) -> None:
    data, numbers = Given((N, *row)), whole(-7, 9)
    other = Given((N, row[2 - axis]), numbers)
    attrs = {"axis": str(axis), "mode": mode}
    agrees(ArrayCase("pick", "random", {"a": data, "b": other}, np.add, attrs | {"keepdims": str(keepdims)}), n)
    table = normal(np.random.default_rng(n), (5, *row))
    indices = Given((2, N), numbers)
    agrees(ArrayCase("take", "random", {"a": table, "b": indices}, np.add, {"axis": str(axis), "mode": mode}), n)


@given(time=SIZES, n=SIZES, depth=SIZES, axis=st.integers(0, 1), value=st.integers(-2, 2))
@examples(15, derandomize=True)
def test_sequences(time: int, n: int, depth: int, axis: int, value: int) -> None:
    data = Given((N, time, depth) if axis else (time, N, depth))
    attrs = {"use_sequence_length": "True", "axis": str(axis)}
    lengths = Given((N,), whole(1, time))
    agrees(ArrayCase("SequenceMask", "random", {"a": data, "b": lengths}, np.add, attrs | {"value": str(value)}), n)
    agrees(ArrayCase("SequenceLast", "random", {"a": data, "b": lengths}, np.add, attrs), n)
    if axis == 0:
        agrees(ArrayCase("SequenceReverse", "random", {"a": data, "b": lengths}, np.add, attrs), n)
