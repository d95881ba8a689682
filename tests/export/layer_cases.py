"""Cases of attention and recurrent layers, time first."""

from __future__ import annotations

from functools import partial

import numpy as np

from export.graph.shape import Batch, N
from tests.export import sequence_oracles
from tests.export.array_case import ArrayCase, Given, normal

RNG = np.random.default_rng(7)


def shares(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(size=shape).astype(np.float32)


HEADS = {"heads": "2"}
ATTENTION = [
    ArrayCase("_contrib_div_sqrt_dim", "defaults", {"data": Given((N, 4, 3))}, lambda x: x / np.sqrt(3)),
    ArrayCase(
        "_contrib_interleaved_matmul_selfatt_qk",
        "set",
        {"data": Given((4, N, 18))},
        lambda x: sequence_oracles.attention_scores(x, x, heads=2, query_parts=3, key_parts=3, key_part=1),
        HEADS,
    ),
    ArrayCase(
        "_contrib_interleaved_matmul_selfatt_valatt",
        "set",
        {"data": Given((4, N, 18)), "attention": Given((Batch(2), 4, 4), shares)},
        partial(sequence_oracles.attention_values, heads=2, parts=3),
        HEADS,
    ),
    ArrayCase(
        "_contrib_interleaved_matmul_encdec_qk",
        "set",
        {"queries": Given((4, N, 6)), "projections": Given((5, N, 12))},
        partial(sequence_oracles.attention_scores, heads=2, query_parts=1, key_parts=2, key_part=0),
        HEADS,
    ),
    ArrayCase(
        "_contrib_interleaved_matmul_encdec_valatt",
        "set",
        {"projections": Given((5, N, 12)), "attention": Given((Batch(2), 4, 5), shares)},
        partial(sequence_oracles.attention_values, heads=2, parts=2),
        HEADS,
    ),
]


def rnn_case(mode: str, note: str, layers: int = 1, directions: int = 1, **attrs: str) -> ArrayCase:
    gates, units, width = {"lstm": 4, "gru": 3}.get(mode, 1), 2, 3
    sizes = [gates * units * (inputs + units + 2) for inputs in [width] + [units * directions] * (layers - 1)]
    state = Given((layers * directions, N, units))
    texts = {"mode": mode, "state_size": str(units), "num_layers": str(layers), "state_outputs": "True"}
    return ArrayCase(
        "RNN",
        f"{mode}: {note}",
        {
            "data": Given((4, N, width)),
            "parameters": normal(RNG, (directions * sum(sizes),)),
            "state": state,
            **({"memory": state} if mode == "lstm" else {}),
        },
        partial(sequence_oracles.rnn, mode=mode, units=units, layers=layers, directions=directions),
        texts | {"bidirectional": str(directions == 2)} | attrs,
        outputs=3 if mode == "lstm" else 2,
    )


RECURRENT = [
    *(rnn_case(mode, "one") for mode in ("lstm", "gru", "rnn_tanh", "rnn_relu")),
    *(rnn_case(mode, "two layers, both directions", 2, 2, p="0.5") for mode in ("lstm", "gru", "rnn_tanh", "rnn_relu")),
    ArrayCase(
        "_rnn_param_concat",
        "set",
        {"data": Given((N, 5)), "a": np.ones(2, np.float32), "b": np.arange(3, dtype=np.float32)},
        lambda x, a, b: x + np.concatenate([a, b]),
        {"dim": "0", "num_args": "2"},
        then="broadcast_add",
        takes=("a", "b"),
    ),
]
