"""Translate a symbol and its parameters to an ONNX graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

import export.ops  # noqa: F401  # fills the table of translators
from export.constants import evaluate_constants
from export.errors import BatchAxisError, MalformedModelError, UnsupportedOpError
from export.graph.attributes import Attrs
from export.graph.graph import FLOAT16, FLOAT32, Graph, Operand, Tensor
from export.graph.node import Node
from export.graph.shape import N
from export.ops.registry import TRANSLATORS
from gluon_lifted.contract import distinct

if TYPE_CHECKING:
    import numpy as np

    from export.graph.shape import BatchShape, Size
    from export.reader.symbol import Entry, Symbol, SymbolNode

Operands = dict[int, tuple[Operand, ...]]  # index of a node -> its outputs
NUMBERED: Mapping[str, Callable[[Mapping[str, str]], bool]] = {  # operators whose output names may end in a number
    **dict.fromkeys(("SliceChannel", "_contrib_box_nms", "amp_multicast"), lambda _: True),
    **dict.fromkeys(
        ("_npi_average", "_npi_hsplit", "_npi_norm", "_split_v2"), lambda attrs: attrs.get("sections") != "1"
    ),
    "topk": lambda attrs: attrs.get("ret_typ") in ("both", "value"),
}
NAMED = {  # operators whose outputs have names
    **dict.fromkeys(("_npi_concatenate", "_npi_dstack", "_npi_hstack", "_npi_matmul"), ("out",)),
    **{"_npi_std": ("std",), "_npi_var": ("var",), "RNN": ("output", "state_output", "statecell_output")},
}
# Their second input is a label
LOSSES = {"SoftmaxOutput", "SVMOutput"} | {f"{kind}RegressionOutput" for kind in ("Linear", "Logistic", "MAE")}
CASTS = {"Cast", "amp_cast", "amp_multicast"}
# Operators that take indices or lengths -> how many of their first inputs have the type of the weights
INDEXED = {"Embedding": 0, "one_hot": 0, **dict.fromkeys(("pick", "softmax", "take"), 1)}
INDEXED |= dict.fromkeys(("SequenceLast", "SequenceMask", "SequenceReverse"), 1)
WEIGHTED = {"Convolution", "Deconvolution", "FullyConnected"}  # input 1 is a weight, of the type of input 0
PARAMETER_ENDINGS = ("weight", "bias", "gamma", "beta", "mean", "var", "parameters")  # of Gluon's and Module's names
# Prefixes of operators that will not get a translator -> what to do instead
HINTS = {
    ("_contrib_quant", "_contrib_dequant", "_contrib_requant", "_sg_mkldnn", "_sg_onednn"): (
        "The network is quantized. Export the original network instead."
    ),
    ("_npi_", "_np_", "_npx_"): (
        "export/OPERATORS.md lists the mx.np operators that can be exported. Rewrite the network with them."
    ),
    ("_contrib_Proposal", "_contrib_MultiProposal", "_contrib_MultiBox"): (
        "ONNX has no such operator. Export the network up to an earlier node with --output, and compute the boxes "
        "outside it."
    ),
}
Params = Mapping[str, NDArray[Any]]


def translate(
    symbol: Symbol,
    params: Params,
    inputs: Mapping[str, BatchShape],
    where: str,
    *,
    dtypes: Mapping[str, np.dtype[Any]] | None = None,
    outputs: Sequence[str] | None = None,
    batch: Size = N,
) -> Graph:
    """Translate a network.

    Parameters
    ----------
    symbol : Symbol
        The network.
    params : mapping
        Name -> array for every variable of the symbol that is not an input.
    inputs : mapping
        Name of a variable -> its shape, with `N` where it grows with the batch: ``{"data": (N, 3, 224, 224)}``.
    where : str
        The symbol's file, for messages.
    dtypes : mapping, optional
        Types of inputs. The default is the type of the first weight that an input meets, else float32.
    outputs : sequence of str, optional
        Names of the network's outputs. The default is MXNet's own names, ``<node>_output``.
    batch : int or Batch
        The batch size, which a symbol leaves open in shapes such as those of initial states.

    Returns
    -------
    Graph
        Computes in MXNet's precision, not yet optimized. Each output of a node has the name of the MXNet node, except
        for the network's outputs and nodes that share a name. Nodes that depend only on parameters are folded.

    Raises
    ------
    UnsupportedOpError
        If operators have no translator. The message names all of them, with their counts.
    UnsupportedAttributeError
        If a node has an attribute, or a value of one, that its translator does not support.
    MalformedModelError
        If parameters are missing or shapes do not fit.
    """
    needed = _needed(symbol, where)
    _check_ops([symbol.nodes[index] for index in needed], where)
    names = outputs or distinct(_output_name(symbol, head) for head in symbol.heads)
    tensors = [
        Tensor(name, shape, (dtypes or {}).get(name) or _input_dtype(symbol, needed, params, name))
        for name, shape in inputs.items()
    ]
    graph = Graph(tensors, names, batch)
    operands = _variables(symbol, needed, params, graph, where)
    repeated = {name for name, count in Counter(node.name for node in symbol.nodes).items() if count > 1}
    for index in needed:
        node = symbol.nodes[index]
        if not node.is_variable:
            name = f"{node.name}/{index}" if node.name in repeated else node.name
            operands[index] = _translate_node(symbol, node, name, operands, graph)
    graph.finish(_heads(symbol, operands, graph, where))
    return graph


def _needed(symbol: Symbol, where: str) -> list[int]:
    """Return the indices of the nodes that the outputs depend on, in topological order."""
    needed = {head.node for head in symbol.heads}
    for index in range(len(symbol.nodes) - 1, -1, -1):  # inputs come before the nodes that take them
        if index in needed:
            needed.update(entry.node for entry in _inputs(symbol.nodes[index]))
    return sorted(needed)


def _input_dtype(symbol: Symbol, needed: list[int], params: Params, input_name: str) -> np.dtype[Any]:
    """Return the type of an input, which symbols do not store: that of the first weight they meet without a cast."""
    reached: set[int] = set()  # nodes whose output has the input's type
    for index in needed:
        node = symbol.nodes[index]
        if node.is_variable:
            reached.update([index] if node.name == input_name else ())
        elif node.op in CASTS or not reached.intersection(_alike(node)):
            continue
        elif (
            node.op in WEIGHTED and len(node.inputs) > 1 and (name := symbol.nodes[node.inputs[1].node].name) in params
        ):
            return FLOAT16 if params[name].dtype == FLOAT16 else FLOAT32
        else:
            reached.add(index)
    return FLOAT32


def _alike(node: SymbolNode) -> tuple[int, ...]:
    """Return the inputs whose type the output has."""
    return tuple(entry.node for entry in node.inputs[: INDEXED.get(node.op)])


def _inputs(node: SymbolNode) -> tuple[Entry, ...]:
    """Return the inputs of a node, without the label that a loss takes as its second input."""
    return node.inputs[:1] if node.op in LOSSES and len(node.inputs) == 2 else node.inputs


def _check_ops(nodes: Iterable[SymbolNode], where: str) -> None:
    unknown: dict[str, list[str]] = {}
    for node in nodes:
        if not node.is_variable and node.op not in TRANSLATORS:
            unknown.setdefault(node.op, []).append(node.name)
    if unknown:
        listed = ", ".join(f"{op} x{len(names)} (first: node {names[0]!r})" for op, names in sorted(unknown.items()))
        plural = "s" if len(unknown) > 1 else ""
        hints = [hint for prefixes, hint in HINTS.items() if any(op.startswith(prefixes) for op in unknown)]
        raise UnsupportedOpError(
            " ".join([f"{where}: {len(unknown)} operator{plural} cannot be exported: {listed}.", *hints])
        )


def _variables(symbol: Symbol, needed: list[int], params: Params, graph: Graph, where: str) -> Operands:
    operands: Operands = {}
    missing: list[str] = []
    for index in needed:
        name = symbol.nodes[index].name
        if not symbol.nodes[index].is_variable:
            continue
        if name in graph.tensors:
            operands[index] = (graph.tensors[name],)
        elif name in params:
            operands[index] = (graph.constant(name, params[name]),)
        else:
            missing.append(name)
    if missing:
        unknown = sorted(set(graph.tensors) - {symbol.nodes[index].name for index in needed})
        raise MalformedModelError(f"{where}: {_missing(missing, unknown)}")
    return operands


def _missing(names: list[str], unknown: list[str]) -> str:
    """Say why variables have no value: ``unknown`` are the inputs that the network does not have."""
    listed = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
    if unknown:
        return (
            f"has no input {', '.join(map(repr, unknown))}. Give --shape for the inputs that have no value: {listed}."
        )
    parameters = [name for name in names if name.endswith(PARAMETER_ENDINGS)]
    if parameters:
        return (
            f"the .params file lacks {len(names)} of the network's parameters: {listed}. Give two files that were "
            "saved together."
        )
    return (
        f"inputs or parameters without a value: {listed}. Give the shape of each input, as in --shape NAME:N,128. "
        "Parameters must be in the .params file."
    )


def _translate_node(
    symbol: Symbol, node: SymbolNode, name: str, operands: Operands, graph: Graph
) -> tuple[Operand, ...]:
    attrs = Attrs(f"{node.op} {node.name!r}", node.attrs)
    inputs = tuple(_operand(entry, symbol, operands) for entry in _inputs(node))
    start = len(graph.nodes)
    try:
        output = TRANSLATORS[node.op](Node(node.op, name, attrs, inputs, graph))
    except BatchAxisError as error:
        raise BatchAxisError(f"{attrs.where}: {error}") from None
    attrs.finish()
    return evaluate_constants(graph, start, output if isinstance(output, tuple) else (output,))


def _operand(entry: Entry, symbol: Symbol, operands: Operands) -> Operand:
    outputs = operands[entry.node]
    if entry.output >= len(outputs):
        node = symbol.nodes[entry.node]
        raise UnsupportedOpError(
            f"the network uses output {entry.output} of {node.op} {node.name!r}, of which only the first "
            f"{len(outputs)} can be exported."
        )
    return outputs[entry.output]


def _output_name(symbol: Symbol, head: Entry) -> str:
    """Name an output as MXNet does: ``fc_output``. A number follows if the node may have several outputs."""
    node = symbol.nodes[head.node]
    if node.op in NAMED and head.output < len(NAMED[node.op]):
        return f"{node.name}_{NAMED[node.op][head.output]}"
    several = node.op in NUMBERED and NUMBERED[node.op](node.attrs)
    return f"{node.name}_output{head.output if several else ''}"


def _heads(symbol: Symbol, operands: Operands, graph: Graph, where: str) -> list[Tensor]:
    heads: list[Tensor] = []
    for head in symbol.heads:
        tensor = _operand(head, symbol, operands)
        if not isinstance(tensor, Tensor) or tensor in graph.inputs:
            raise MalformedModelError(
                f"{where}: the output is the input or parameter {tensor.name!r}, so there is nothing to export. Choose "
                "another node with --output."
            )
        heads.append(tensor)
    if len(heads) != len(graph.outputs):
        raise MalformedModelError(
            f"{where}: the network has {len(heads)} outputs; expected {len(graph.outputs)}: {', '.join(graph.outputs)}."
        )
    return heads
