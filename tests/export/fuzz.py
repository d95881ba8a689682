"""Hostile symbols, parameters and ONNX files, without end: `python -m tests.export.fuzz --minutes 10 [--seed 0]`.

Files of networks that translate are damaged at random: bytes changed, cut out, doubled; attributes, inputs, names and
operators exchanged for junk. Each must end in a model or in one of our own errors, within seconds and within bounded
memory. Anything else is printed with its seed, and the exit status is 1.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from export import EmbeddingNetwork, inspect_network
from export.adopt.add_card import add_card
from export.adopt.onnx_file import read_onnx
from export.graph.model import build_model
from export.graph.shape import N
from export.ops.registry import TRANSLATORS
from export.passes.optimize import optimize
from export.reader.params import parse_params
from export.reader.symbol import parse_symbol
from export.translate import translate
from gluon_lifted.errors import LiftedError
from gluon_lifted.images.presets import preset
from tests.export.array_cases import ARRAY_CASES
from tests.export.networks import CROP, small_network
from tests.export.op_case import ROW
from tests.export.op_cases import CASES
from tests.fuzzing import damaged_bytes, fuzz

if TYPE_CHECKING:
    import random

    from export.graph.shape import BatchShape
    from tests.export.mxnet_files import Net

SIDE = 8
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
    """One damaged file; what became of it, in a word."""
    return damaged_onnx(rng) if rng.random() < 0.2 else damaged_network(rng)


def damaged_network(rng: random.Random) -> str:
    """Translate a network of which one file is damaged, and take its inventory."""
    net, shapes, dtypes = some_network(rng)
    symbol, params = net.symbol_bytes(), net.params_bytes()
    kind, half = rng.randrange(3), rng.random() < 0.3
    if kind == 0:
        symbol = damaged_bytes(symbol, rng)
    elif kind == 1:
        symbol = damaged_symbol(net, rng)
    else:
        params = damaged_bytes(params, rng)
    with contextlib.suppress(LiftedError), tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "net-symbol.json"), Path(folder, "net-0000.params")
        for path, content in zip(files, (symbol, params), strict=True):
            path.write_bytes(content)
        inspect_network(*files)
    try:
        parsed, arrays = parse_symbol(symbol, "s"), parse_params(params, "p")
        build_model(optimize(translate(parsed, arrays, shapes, "s", dtypes=dtypes), half=half), 17)
    except LiftedError:
        return "refused"
    return "translated"


def some_network(rng: random.Random) -> tuple[Net, dict[str, BatchShape], dict[str, np.dtype[Any]]]:
    """Return a network with the shapes and types of its inputs."""
    kind = rng.randrange(5)
    if kind == 0:
        return small_network(), {"data": (N, 3, CROP, CROP)}, {}
    if kind < 3:
        return rng.choice(CASES).net(half=rng.random() < 0.3), {"data": (N, *ROW)}, {}
    case = rng.choice(ARRAY_CASES)
    types = {name: array.dtype for name, array in case.feeds(1).items()}
    return case.net(), {name: given.shape for name, given in case.givens.items()}, types


def damaged_onnx(rng: random.Random) -> str:
    """Add a card to a damaged model of another program."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        path.write_bytes(damaged_bytes(foreign_model(), rng))
        try:
            network = EmbeddingNetwork(preprocessing=preset("0-1", SIDE), name="net")
            add_card(read_onnx(path), path, network)
        except LiftedError:
            return "card refused"
    return "card added"


@cache
def foreign_model() -> bytes:
    """A convolution and a mean, as PyTorch's exporter names them."""
    helper = onnx.helper
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["input.1", "conv.weight"], ["4"], kernel_shape=[3, 3]),
        helper.make_node("GlobalAveragePool", ["4"], ["5"]),
        helper.make_node("Flatten", ["5"], ["6"]),
    ]
    infos = [
        helper.make_tensor_value_info("input.1", onnx.TensorProto.FLOAT, ["batch_size", 3, SIDE, SIDE]),
        helper.make_tensor_value_info("6", onnx.TensorProto.FLOAT, ["batch_size", 4]),
    ]
    weights = [onnx.numpy_helper.from_array(weight, "conv.weight")]
    graph = helper.make_graph(nodes, "main_graph", infos[:1], infos[1:], weights)
    content: bytes = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    ).SerializeToString()
    return content


if __name__ == "__main__":
    sys.exit(fuzz(__doc__.splitlines()[0], attempt))
