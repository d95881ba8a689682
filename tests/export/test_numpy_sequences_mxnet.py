"""Recurrent networks of MXNet's NumPy interface with embeddings and given initial states, compared with MXNet.

Without given states MXNet cannot export these: it writes a batch of 0, which means unknown to older operators alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export.graph.model import DEFAULT_OPSET, build_model
from export.graph.shape import N
from export.passes.optimize import optimize
from export.reader.params import parse_params
from export.reader.symbol import parse_symbol
from export.translate import translate
from gluon_lifted.mx import gluon, mx

if TYPE_CHECKING:
    from pathlib import Path

WORDS, LENGTH, UNITS = 7, 6, 4


class Recurrent(gluon.nn.HybridBlock):
    """Words (N, length) and states to scores and the last state."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.embedding = gluon.nn.Embedding(WORDS, 5)
        self.layer = layer
        self.scores = gluon.nn.Dense(3)

    def hybrid_forward(self, F: Any, words: Any, *states: Any) -> Any:
        outputs, states = self.layer(self.embedding(words).swapaxes(0, 1), list(states))
        return self.scores(F.np.mean(outputs, axis=0)), states[0]


@pytest.mark.parametrize(
    ("kind", "layers", "directions", "states"), [("RNN", 1, 1, 1), ("GRU", 1, 2, 1), ("LSTM", 2, 2, 2)]
)
def test_recurrent_network_equals_mxnet(kind: str, layers: int, directions: int, states: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    depth = layers * directions
    arrays = [rng.integers(0, WORDS, (3, LENGTH)).astype(np.float32)]
    arrays += [rng.normal(size=(depth, 3, UNITS)).astype(np.float32) for _ in range(states)]
    with mx.util.np_shape(True), mx.util.np_array(True):
        network = Recurrent(getattr(gluon.rnn, kind)(UNITS, layers, bidirectional=directions == 2))
        network.initialize(mx.init.Uniform(1))
        inputs = [mx.np.array(array) for array in arrays]
        network(*inputs)  # shapes
        network.hybridize()
        expected = [output.asnumpy() for output in network(*inputs)]
        network.export(str(tmp_path / "model"))
    symbol = parse_symbol((tmp_path / "model-symbol.json").read_bytes(), "symbol")
    params = parse_params((tmp_path / "model-0000.params").read_bytes(), "params")
    names = [node.name for node in symbol.nodes if node.is_variable and node.name not in params]
    shapes = dict.fromkeys(names, (depth, N, UNITS)) | {names[0]: (N, LENGTH)}
    model = build_model(optimize(translate(symbol, params, shapes, "symbol")), DEFAULT_OPSET)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for actual, output in zip(session.run(None, dict(zip(names, arrays, strict=True))), expected, strict=True):
        np.testing.assert_allclose(actual, output, rtol=1e-4, atol=1e-5)
