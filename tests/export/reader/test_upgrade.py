"""Symbols of older MXNet versions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from export.errors import MalformedModelError
from export.graph.shape import N
from export.ops.registry import TRANSLATORS
from export.reader.symbol import parse_symbol
from export.reader.upgrade import ALIASES
from export.translate import translate


def old_symbol(version: int | None = None) -> dict:
    """Two batch norms as MXNet 0.8 wrote them, the second on the first and on a scaled image."""
    nodes = [{"op": "null", "name": name, "param": {}, "inputs": []} for name in ("data", "a_gamma", "a_beta")]
    nodes.append({"op": "BatchNorm", "name": "a", "param": {"eps": "0.001"}, "inputs": [[0, 0], [1, 0], [2, 0]]})
    nodes += [{"op": "null", "name": name, "param": {}, "inputs": []} for name in ("b_gamma", "b_beta")]
    nodes.append({"op": "BatchNorm", "name": "b", "attr": {"ctx_group": "1"}, "inputs": [[3, 0], [4, 0], [5, 0]]})
    nodes.append({"op": "_MulScalar", "name": "", "param": {"scalar": "2"}, "inputs": [[0, 0]]})
    nodes.append(
        {"op": "_Plus", "name": "sum", "param": {"weight_lr_mult": "2"}, "inputs": [[6, 0], [7, 0]]},
    )
    attrs = {} if version is None else {"attrs": {"mxnet_version": ["int", version]}}
    return {"nodes": nodes, "arg_nodes": [0, 1, 2, 4, 5], "heads": [[8, 0]], **attrs}


def params() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    names = [f"{norm}_{name}" for norm in "ab" for name in ("gamma", "beta", "moving_mean", "moving_var")]
    return {name: rng.uniform(0.5, 2, 3).astype(np.float32) for name in names}


@pytest.mark.parametrize("version", [None, 800, 899])
def test_statistics_that_old_batch_norms_imply(version: int | None) -> None:
    symbol = parse_symbol(json.dumps(old_symbol(version)).encode(), "old")
    by_name = {node.name: node for node in symbol.nodes}
    inputs = [symbol.nodes[entry.node].name for entry in by_name["b"].inputs]
    assert inputs == ["a", "b_gamma", "b_beta", "b_moving_mean", "b_moving_var"]
    assert symbol.nodes[symbol.heads[0].node].name == "sum"
    assert all(entry.node < index for index, node in enumerate(symbol.nodes) for entry in node.inputs)
    graph = translate(symbol, params(), {"data": (N, 3, 5, 5)}, "old")
    assert graph.tensors[graph.outputs[0]].row == (3, 5, 5)


def test_newer_files_imply_nothing() -> None:
    symbol = parse_symbol(json.dumps(old_symbol(10901)).encode(), "new")
    assert [len(node.inputs) for node in symbol.nodes if node.op == "BatchNorm"] == [3, 3]


def test_implied_names_may_not_be_taken() -> None:
    symbol = old_symbol()
    symbol["nodes"][1]["name"] = "a_moving_var"
    with pytest.raises(MalformedModelError, match="two variables are named 'a_moving_var'"):
        parse_symbol(json.dumps(symbol).encode(), "old")


def test_operators_without_a_name() -> None:
    symbol = parse_symbol(json.dumps(old_symbol()).encode(), "old")
    assert [node.name for node in symbol.nodes if node.op == "_mul_scalar"] == ["_mulscalar7"]


def test_every_alias_has_a_translator() -> None:
    assert set(ALIASES.values()) <= set(TRANSLATORS)
    assert not set(ALIASES) & set(TRANSLATORS)
