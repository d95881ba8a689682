"""Symbol and parameters -> ONNX graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

import export.ops  # noqa: F401  # fills the table of translators
from export.attrs import Attrs
from export.errors import MalformedModelError, UnsupportedOpError
from export.graph import INPUT, Graph, Operand, Shape, Tensor
from export.node import Node
from export.passes.batch_norm import fold_batch_norm
from export.passes.scalars import use_scalars
from export.registry import TRANSLATORS
from export.symbol import Entry, Symbol, SymbolNode

Params = Mapping[str, NDArray[Any]]


def translate(symbol: Symbol, params: Params, row: Shape, where: str) -> Graph:
    """Translate a network.

    Parameters
    ----------
    symbol : Symbol
        With one input, ``data``, and one output.
    params : mapping
        Name -> array, float32, for every other variable of the symbol.
    row : tuple of int
        Shape of one input image: (3, H, W).
    where : str
        The symbol's file, for messages.

    Returns
    -------
    Graph
        Batch norm folded into convolutions; input ``data`` (N, *row), output ``embedding`` (N, D). A node's output
        is named like the MXNet node, except for the last one, and where several MXNet nodes share a name.

    Raises
    ------
    UnsupportedOpError
        All operators without a translator at once, with their counts.
    UnsupportedAttributeError
        If an attribute has a value, or is one, that the translator does not know.
    MalformedModelError
        If parameters are missing or shapes do not fit.
    """
    needed = _needed(symbol, where)
    _check_ops([symbol.nodes[index] for index in needed], where)
    graph = Graph(row)
    operands = _variables(symbol, needed, params, graph, where)
    repeated = {name for name, count in Counter(node.name for node in symbol.nodes).items() if count > 1}
    for index in needed:
        node = symbol.nodes[index]
        if not node.is_variable:
            name = f"{node.name}/{index}" if node.name in repeated else node.name
            operands[index] = _translate_node(symbol, node, name, operands, graph)
    graph.finish(_embedding(operands[symbol.heads[0].node], where))
    fold_batch_norm(graph)
    use_scalars(graph)
    graph.drop_unused()
    return graph


def _needed(symbol: Symbol, where: str) -> list[int]:
    """Indices of the nodes that the output depends on, in topological order."""
    if len(symbol.heads) != 1:
        raise MalformedModelError(f"{where}: the network has {len(symbol.heads)} outputs; expected one, the embedding.")
    _first_output(symbol.heads[0], symbol)
    needed = {symbol.heads[0].node}
    for index in range(len(symbol.nodes) - 1, -1, -1):  # inputs come before the nodes that take them
        if index in needed:
            needed.update(entry.node for entry in symbol.nodes[index].inputs)
    return sorted(needed)


def _check_ops(nodes: Iterable[SymbolNode], where: str) -> None:
    unknown: dict[str, list[str]] = {}
    for node in nodes:
        if not node.is_variable and node.op not in TRANSLATORS:
            unknown.setdefault(node.op, []).append(node.name)
    if unknown:
        listed = ", ".join(f"{op} x{len(names)} (first: node {names[0]!r})" for op, names in sorted(unknown.items()))
        plural = "s" if len(unknown) > 1 else ""
        raise UnsupportedOpError(f"{where} uses {len(unknown)} operator{plural} without a translator: {listed}.")


def _variables(symbol: Symbol, needed: list[int], params: Params, graph: Graph, where: str) -> dict[int, Operand]:
    found: dict[int, Operand] = {}
    missing: list[str] = []
    for index in needed:
        name = symbol.nodes[index].name
        if not symbol.nodes[index].is_variable:
            continue
        if name == INPUT:
            found[index] = graph.input
        elif name in params:
            found[index] = graph.constant(name, params[name])
        else:
            missing.append(name)
    if missing:
        listed = ", ".join(map(repr, missing[:3])) + (", ..." if len(missing) > 3 else "")
        raise MalformedModelError(
            f"{where}: {len(missing)} parameters are not in the parameter file: {listed}. Take both files from one run."
        )
    return found


def _translate_node(symbol: Symbol, node: SymbolNode, name: str, operands: dict[int, Operand], graph: Graph) -> Operand:
    for entry in node.inputs:
        _first_output(entry, symbol)
    attrs = Attrs(f"{node.op} {node.name!r}", node.attrs)
    inputs = tuple(operands[entry.node] for entry in node.inputs)
    output = TRANSLATORS[node.op](Node(node.op, name, attrs, inputs, graph))
    attrs.finish()
    return output


def _first_output(entry: Entry, symbol: Symbol) -> None:
    if entry.output != 0:
        node = symbol.nodes[entry.node]
        raise UnsupportedOpError(
            f"output {entry.output} of {node.op} {node.name!r} is used; only output 0 is supported."
        )


def _embedding(head: Operand, where: str) -> Tensor:
    if not isinstance(head, Tensor) or head.name == INPUT:
        raise MalformedModelError(f"{where}: the output is {head.name!r} itself; there is no network.")
    if len(head.row) != 1:
        shape = ", ".join(map(str, head.row))
        raise MalformedModelError(f"{where}: the output is (N, {shape}); expected an embedding (N, D).")
    return head
