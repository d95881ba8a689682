"""Hostile symbols and parameters, without end: `python -m tests.export.fuzz --minutes 10 [--seed 0]`.

Files of networks that translate are damaged at random: bytes changed, cut out, doubled; attributes, inputs, names and
operators exchanged for junk. Each must end in a model or in one of our own errors, within seconds and within bounded
memory. Anything else is printed with its seed, and the exit status is 1.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from export.graph.model import build_model
from export.graph.shape import N
from export.ops.registry import TRANSLATORS
from export.passes.optimize import optimize
from export.reader.params import parse_params
from export.reader.symbol import parse_symbol
from export.translate import translate
from gluon_lifted.errors import LiftedError
from tests.export.networks import CROP, small_network
from tests.export.op_case import ROW
from tests.export.op_cases import CASES
from tests.fuzzing import damaged_bytes, fuzz

if TYPE_CHECKING:
    import random

    from tests.export.mxnet_files import Net

JUNK_TEXTS = [
    *("", "0", "-1", "1", "7", "999999999", "-999999999", "99999999999999999999", "1e38", "-0.0", "nan", "inf", "None"),
    *("()", "(0, 0)", "(-1, -1)", "(999999999, 999999999)", "(1,)", "(0, -4, -1, -1)", "(None, None)", "((1, 2), 3)"),
    *("True", "max", "float16", "valid", "constant", "x" * 2000, "\ud800", "\0", "(" * 500, "1" * 400),
]
JUNK_NAMES = ["axis", "shape", "kernel", "pad", "num_filter", "begin", "dtype", "mystery"]
JUNK_VALUES: list[Any] = [
    *(None, True, -1, 2**63, 1e308, "", "data", [], {}),
    *([[0, 0, 0]] * 50, [[-1, 0, 0]], [[0, 2**40, 0]]),
]


def damaged_symbol(net: Net, rng: random.Random) -> bytes:
    symbol = json.loads(net.symbol_bytes())
    for _ in range(rng.choice([1, 1, 2, 4])):
        node = rng.choice(symbol["nodes"])
        kind = rng.randrange(6)
        attrs = node.setdefault("attrs", {})
        if kind == 0 and attrs:
            attrs[rng.choice(list(attrs))] = rng.choice(JUNK_TEXTS)
        elif kind == 1:
            attrs[rng.choice(JUNK_NAMES)] = rng.choice(JUNK_TEXTS)
        elif kind == 2 and node["inputs"]:
            rng.choice(node["inputs"])[rng.randrange(2)] = rng.randrange(-2, len(symbol["nodes"]) + 2)
        elif kind == 3:
            node["op"] = rng.choice([*TRANSLATORS, "null", ""])
        elif kind == 4:
            node[rng.choice(["op", "name", "inputs", "attrs"])] = rng.choice(JUNK_VALUES)
            if not isinstance(node["attrs"], dict) or not isinstance(node["inputs"], list):
                break
        else:
            symbol[rng.choice(["nodes", "heads", "arg_nodes"])] = rng.choice([*JUNK_VALUES, symbol["nodes"] * 3])
            break
    return json.dumps(symbol).encode()


def attempt(rng: random.Random) -> str:
    """One damaged network; what became of it, in a word."""
    some = [(case.net(half=rng.random() < 0.3), ROW) for case in rng.sample(CASES, 3)]
    net, row = rng.choice([(small_network(), (3, CROP, CROP)), *some])
    symbol, params = net.symbol_bytes(), net.params_bytes()
    kind, half = rng.randrange(3), rng.random() < 0.3
    if kind == 0:
        symbol = damaged_bytes(symbol, rng)
    elif kind == 1:
        symbol = damaged_symbol(net, rng)
    else:
        params = damaged_bytes(params, rng)
    try:
        graph = optimize(
            translate(parse_symbol(symbol, "s"), parse_params(params, "p"), {"data": (N, *row)}, "s"),
            half=half,
        )
        build_model(graph, 17)
    except LiftedError:
        return "refused"
    return "translated"


if __name__ == "__main__":
    sys.exit(fuzz(__doc__.splitlines()[0], attempt))
