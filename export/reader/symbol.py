"""Read MXNet's symbol JSON without MXNet: nodes in topological order, their attributes and inputs.

The format is nnvm's ``SaveJSON``: ``nodes`` (``op``, ``name``, ``attrs``, ``inputs``), ``arg_nodes`` (indices of
the variables) and ``heads`` (the outputs). An input is ``[node, output]`` or ``[node, output, version]``.
Attributes are strings, under ``attrs`` since MXNet 1.0, ``attr`` and ``param`` before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from export.errors import MalformedModelError
from export.reader.numpy_names import NUMPY_NAMES
from export.reader.upgrade import ALIASES, implied_statistics, version_of, with_variables

MAX_SYMBOL_BYTES = 64 * 2**20  # ResNet-152's symbol has 0.5 MB
MAX_NODES = 100_000  # DenseNet-201's symbol has 1,700
MAX_NAME_LENGTH = 1000
CURRENT_NAMES = {**ALIASES, **NUMPY_NAMES}  # of operators, by the name in a file
VARIABLE = "null"  # nnvm's op name of an input or parameter
ATTRIBUTE_KEYS = ("param", "attr", "attrs")


@dataclass(frozen=True)
class Entry:
    """An output of a node."""

    node: int
    output: int


@dataclass(frozen=True)
class SymbolNode:
    """A node; its inputs are earlier nodes."""

    op: str
    name: str
    attrs: dict[str, str]
    inputs: tuple[Entry, ...]

    @property
    def is_variable(self) -> bool:
        """Whether the node is an input or a parameter."""
        return self.op == VARIABLE


@dataclass(frozen=True)
class Symbol:
    """A network: nodes in topological order, the entries that are its outputs, and the version that wrote it.

    The version is ``major * 10000 + minor * 100 + patch``; None if the file does not say.
    """

    nodes: tuple[SymbolNode, ...]
    heads: tuple[Entry, ...]
    mxnet_version: int | None = None

    def needed_nodes(self) -> list[SymbolNode]:
        """Return the nodes that the outputs depend on, in topological order."""
        needed = {head.node for head in self.heads}
        for index in range(len(self.nodes) - 1, -1, -1):  # inputs come before the nodes that take them
            if index in needed:
                needed.update(entry.node for entry in self.nodes[index].inputs)
        return [self.nodes[index] for index in sorted(needed)]

    def with_output(self, name: str, where: str) -> Symbol:
        """Cut the network at a node, named as in the file or as MXNet names its output (``fc1_output``).

        Raises
        ------
        MalformedModelError
            If no node has this name; the message lists similar ones.
        """
        names = {node.name: index for index, node in enumerate(self.nodes) if not node.is_variable}
        index = names.get(name, names.get(name.removesuffix("_output")))
        if index is None:
            similar = get_close_matches(name, names, cutoff=0.3) or [self.nodes[head.node].name for head in self.heads]
            raise MalformedModelError(f"{where}: has no node {name!r}; did you mean {' or '.join(similar)}?")
        return replace(self, heads=(Entry(index, 0),))

    def with_input(self, old: str, new: str) -> Symbol:
        """Rename the variable of the images."""
        return replace(
            self,
            nodes=tuple(
                replace(node, name=new) if node.is_variable and node.name == old else node for node in self.nodes
            ),
        )


def parse_symbol(content: bytes, where: str) -> Symbol:
    """Parse a symbol.

    Parameters
    ----------
    content : bytes
        Content of the JSON file.
    where : str
        Name of the file, for messages.

    Raises
    ------
    MalformedModelError
        If the content is too large, not JSON or not a symbol; if a node's input is not an earlier node, as in a cycle;
        or if two variables have the same name.
    """
    if len(content) > MAX_SYMBOL_BYTES:
        raise MalformedModelError(
            f"{where}: has {len(content):,} bytes; the limit for a symbol is {MAX_SYMBOL_BYTES:,}."
        )
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MalformedModelError(
            f"{where}: not a symbol in JSON ({_first_line(error)}). Give --symbol the network's -symbol.json, and "
            "--params its .params file."
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("nodes"), list) or not document["nodes"]:
        raise MalformedModelError(
            f"{where}: has no list 'nodes'; expected the -symbol.json that HybridBlock.export writes."
        )
    if len(document["nodes"]) > MAX_NODES:
        raise MalformedModelError(f"{where}: has {len(document['nodes']):,} nodes; the limit is {MAX_NODES:,}.")
    nodes = tuple(_node(raw, index, where) for index, raw in enumerate(document["nodes"]))
    _check_arguments(nodes, document.get("arg_nodes"), where)
    heads = _entries(document.get("heads"), len(nodes), f"{where}: heads")
    if not heads:
        raise MalformedModelError(f"{where}: the list 'heads' is empty, so the network has no output.")
    version = version_of(document)
    if statistics := implied_statistics(nodes, version):
        upgraded, moved = with_variables(nodes, statistics)
        nodes, heads = tuple(upgraded), tuple(replace(head, node=moved[head.node]) for head in heads)
    _check_names(nodes, where)
    return Symbol(nodes, heads, version)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _node(raw: object, index: int, where: str) -> SymbolNode:
    where = f"{where}: node {index}"
    if not isinstance(raw, dict):
        raise MalformedModelError(f"{where} is not a JSON object.")
    op = _name(raw.get("op"), f"{where}: op")
    name = raw.get("name")
    if op != VARIABLE and name in (None, ""):
        name = f"{op.lower()}{index}"  # MXNet accepts operators without a name
    node = SymbolNode(
        op=CURRENT_NAMES.get(op, op),
        name=_name(name, f"{where}: name"),
        attrs=_attributes(raw, where),
        inputs=_entries(raw.get("inputs", []), index, f"{where}: inputs"),
    )
    if node.is_variable and node.inputs:
        raise MalformedModelError(f"{where}, {node.name!r}, is a variable but has inputs.")
    return node


def _name(value: object, where: str) -> str:
    # Unprintable text (line ends, lone surrogates) would break messages and cannot be written to ONNX.
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME_LENGTH or not value.isprintable():
        raise MalformedModelError(
            f"{where} is {value!r:.100}; expected printable text of 1 to {MAX_NAME_LENGTH} characters."
        )
    return value


def _attributes(raw: dict[str, Any], where: str) -> dict[str, str]:
    merged: dict[str, str] = {}
    for key in ATTRIBUTE_KEYS:
        texts = raw.get(key, {})
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise MalformedModelError(f"{where}: {key} is not a JSON object of strings.")
        merged.update(texts)
    return merged


def _entries(raw: object, limit: int, where: str) -> tuple[Entry, ...]:
    """Parse entries, whose node index must be below ``limit``."""
    if not isinstance(raw, list):
        raise MalformedModelError(f"{where} is not a list.")
    return tuple(_entry(entry, limit, where) for entry in raw)


def _entry(raw: object, limit: int, where: str) -> Entry:
    # type() instead of isinstance(), as True is an int in Python
    if not isinstance(raw, list) or len(raw) not in (2, 3) or any(type(number) is not int for number in raw):
        raise MalformedModelError(f"{where}: found {raw!r:.100}; expected [node, output] or [node, output, version].")
    if not 0 <= raw[0] < limit or raw[1] < 0:
        raise MalformedModelError(f"{where}: {raw!r:.100} does not point to an earlier node (0 to {limit - 1}).")
    return Entry(raw[0], raw[1])


def _check_names(nodes: tuple[SymbolNode, ...], where: str) -> None:
    """Require unique names of variables, as these are the keys of parameters. Other nodes may share a name."""
    seen: set[str] = set()
    for node in nodes:
        if node.is_variable and node.name in seen:
            raise MalformedModelError(f"{where}: two variables are named {node.name!r}.")
        if node.is_variable:
            seen.add(node.name)


def _check_arguments(nodes: tuple[SymbolNode, ...], arg_nodes: object, where: str) -> None:
    if arg_nodes is None:
        return
    indices = arg_nodes if isinstance(arg_nodes, list) else [None]
    if not all(type(i) is int and 0 <= i < len(nodes) and nodes[i].is_variable for i in indices):
        raise MalformedModelError(f"{where}: arg_nodes is not a list of indices of variables.")
