from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from export.errors import MalformedModelError
from export.reader import symbol as symbol_module
from export.reader.symbol import Entry, parse_symbol
from tests.export.networks import small_network

JUNK: list[Any] = [
    None,
    True,
    -1,
    10**30,
    1.5,
    "x",
    "",
    "a\nb",
    "\ud800",
    [],
    [[]],
    {},
    {"a": 1},
    [[0, 0]],
    [["a", 0, 0]],
]


def parse(document: Any) -> Any:
    return parse_symbol(json.dumps(document).encode(), "model-symbol.json")


def symbol() -> dict[str, Any]:
    return small_network().symbol()


def test_reads_nodes_attributes_and_head() -> None:
    network = parse(symbol())
    conv = network.nodes[3]
    assert (conv.op, conv.name, conv.inputs) == ("Convolution", "conv1", (Entry(0, 0), Entry(1, 0), Entry(2, 0)))
    assert conv.attrs == {"kernel": "(3, 3)", "num_filter": "4", "stride": "(2, 2)", "pad": "(1, 1)"}
    assert network.nodes[0].is_variable
    assert not conv.is_variable
    assert network.heads == (Entry(len(network.nodes) - 1, 0),)


@pytest.mark.parametrize("key", ["attr", "param"])
def test_reads_attributes_of_older_files(key: str) -> None:
    old = symbol()
    for node in old["nodes"]:
        node["inputs"] = [entry[:2] for entry in node["inputs"]]
        if "attrs" in node:
            node[key] = node.pop("attrs")
    assert parse(old).nodes == parse(symbol()).nodes


def test_attributes_under_two_keys_are_joined() -> None:
    old = symbol()
    old["nodes"][3] |= {"param": old["nodes"][3].pop("attrs"), "attr": {"lr_mult": "2"}}
    assert parse(old).nodes[3].attrs["lr_mult"] == "2"
    assert parse(old).nodes[3].attrs["kernel"] == "(3, 3)"


def test_truncated_file_is_refused() -> None:
    content = json.dumps(symbol()).encode()
    for size in range(len(content)):
        with pytest.raises(MalformedModelError, match=r"model-symbol\.json"):
            parse_symbol(content[:size], "model-symbol.json")


def test_cycle_is_refused() -> None:
    for target in (3, 4, 99, -1):
        cyclic = symbol()
        cyclic["nodes"][3]["inputs"][0] = [target, 0, 0]
        with pytest.raises(MalformedModelError, match=r"node 3: inputs: .* does not point to an earlier node"):
            parse(cyclic)


def test_negative_output_index_is_refused() -> None:
    document = symbol()
    document["nodes"][3]["inputs"][0] = [0, -1, 0]
    with pytest.raises(MalformedModelError, match="node 3"):
        parse(document)


def test_two_variables_of_one_name_are_refused() -> None:
    document = symbol()
    document["nodes"][2]["name"] = "conv1_weight"
    with pytest.raises(MalformedModelError, match="two variables are named 'conv1_weight'"):
        parse(document)


def test_operators_of_one_name_are_read() -> None:
    document = symbol()
    document["nodes"][4]["name"] = "conv1"  # a Gluon block that is used twice
    assert parse(document).nodes[4].name == "conv1"


@pytest.mark.parametrize("names", [(2, 3), (3, 4)])  # a variable before and after an operator
def test_variable_and_operator_of_one_name_are_read(names: tuple[int, int]) -> None:
    document = symbol()
    document["nodes"][4] = {"op": "null", "name": "late", "inputs": []}
    document["arg_nodes"] = [0, 1, 2, 4]
    for index in names:
        document["nodes"][index]["name"] = "same"
    assert [node.name for node in parse(document).nodes].count("same") == 2


@pytest.mark.parametrize("name", ["", "a\nb", "\ud800", "x" * 1001, None, 3, ["x"]])
def test_unprintable_name_is_refused(name: Any) -> None:
    for node, key in ((3, "name"), (3, "op"), (0, "name")):
        if node == 3 and key == "name" and name in ("", None):
            continue  # operators need no name
        document = symbol()
        document["nodes"][node][key] = name
        with pytest.raises(MalformedModelError, match=f"node {node}: {key} is .*; expected printable text"):
            parse(document)


def test_true_is_no_index() -> None:
    document = symbol()
    document["nodes"][3]["inputs"][0] = [True, 0, 0]
    with pytest.raises(MalformedModelError, match=r"expected \[node, output\]"):
        parse(document)


def test_variable_with_inputs_is_refused() -> None:
    document = symbol()
    document["nodes"][2]["inputs"] = [[0, 0, 0]]
    with pytest.raises(MalformedModelError, match="is a variable but has inputs"):
        parse(document)


@pytest.mark.parametrize("bad", [[3], [10**6], "x", [True]])
def test_arg_nodes_that_are_no_variables_are_refused(bad: Any) -> None:
    with pytest.raises(MalformedModelError, match="arg_nodes"):
        parse(symbol() | {"arg_nodes": bad})


def test_symbol_without_heads_is_refused() -> None:
    with pytest.raises(MalformedModelError, match="'heads' is empty"):
        parse(symbol() | {"heads": []})


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"nodes":' * 100_000, b"\xff\xfe", b"1" * 5000, b"[]", b"{}"])
def test_hostile_json_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedModelError):
        parse_symbol(content, "s")


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol_module, "MAX_NODES", 5)
    with pytest.raises(MalformedModelError, match="nodes; the limit is 5"):
        parse(symbol())
    monkeypatch.setattr(symbol_module, "MAX_SYMBOL_BYTES", 100)
    with pytest.raises(MalformedModelError, match="at most 100"):
        parse(symbol())


def test_wrong_types_anywhere_are_refused_or_harmless() -> None:
    original = symbol()
    paths: list[tuple[Any, ...]] = [(key,) for key in original]
    paths += [("nodes", i) for i in range(len(original["nodes"]))]
    paths += [("nodes", 3, key) for key in original["nodes"][3]]
    paths += [("nodes", 3, "inputs", 0), ("nodes", 3, "inputs", 0, 0), ("nodes", 3, "attrs", "pad"), ("heads", 0)]
    refused = 0
    for path in paths:
        for junk in JUNK:
            damaged = copy.deepcopy(original)
            target: Any = damaged
            for step in path[:-1]:
                target = target[step]
            target[path[-1]] = junk
            try:
                parse(damaged)
            except MalformedModelError:
                refused += 1
    assert refused > len(paths) * len(JUNK) // 2
