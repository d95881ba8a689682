"""Guess which node of a network gives the embedding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.reader.symbol import Symbol, SymbolNode

LOSSES = {
    *("SoftmaxOutput", "softmax", "SoftmaxActivation", "log_softmax", "softmax_cross_entropy"),
    *("LogisticRegressionOutput", "LinearRegressionOutput", "MAERegressionOutput", "SVMOutput"),
    *("MakeLoss", "make_loss"),
}
LAYERS = {"FullyConnected", "Convolution"}
# Between a layer of class scores and the output
AFTER_SCORES = {"Flatten", "Reshape", "Pooling", "Activation", "Dropout", "Cast", "amp_cast", "_copy"}
# Between the embedding and a classifier or margin head: identities in inference, and scaling to a length
BEFORE_SCORES = {"Dropout", "Cast", "amp_cast", "_copy", "BlockGrad", "L2Normalization", "_mul_scalar"}
SMALLEST_EMBEDDING = 32  # a power of two of at least this size is an embedding width, not a number of classes


@dataclass(frozen=True)
class EmbeddingNode:
    """The node that probably gives the embedding.

    Parameters
    ----------
    name : str
        Name of the node.
    is_output : bool
        Whether it is the network's only output, so that no cut is needed.
    reason : str
        Evidence for the guess.
    """

    name: str
    is_output: bool
    reason: str


def guess_embedding(symbol: Symbol) -> EmbeddingNode | None:
    """Guess the node that gives the embedding; None if the network ends in something unknown.

    A network that ends in class scores, with or without a loss, is cut at the input of the layer that computes them.
    InsightFace's margin heads scale the embedding ``fc1`` to a length before that layer. The scaling is left out.
    """
    heads = [symbol.nodes[head.node] for head in symbol.heads]
    head = next((node for node in heads if node.op in LOSSES), heads[0])
    if head.is_variable:
        return None
    scores = _before_loss(symbol, head) if head.op in LOSSES else _scores(symbol, head)
    if scores is None:
        if head.op in LOSSES:
            return None
        return EmbeddingNode(head.name, is_output=len(heads) == 1, reason="the network does not end in a classifier")
    node = symbol.nodes[scores.inputs[0].node]
    while node.op in BEFORE_SCORES and node.inputs:
        node = symbol.nodes[node.inputs[0].node]
    if node.is_variable or (scores.op == "Convolution" and not _is_global_pooling(node)):
        return None  # there is no vector before the classifier
    return EmbeddingNode(node.name, is_output=False, reason=f"input of the last layer, {scores.name} ({scores.op})")


def _before_loss(symbol: Symbol, loss: SymbolNode) -> SymbolNode | None:
    """Return the last layer that a loss depends on."""
    layers = [
        node for node in replace(symbol, heads=loss.inputs[:1]).needed_nodes() if node.op in LAYERS and node.inputs
    ]
    return layers[-1] if layers else None


def _scores(symbol: Symbol, head: SymbolNode) -> SymbolNode | None:
    """Return the layer that computes class scores, if the output is its output."""
    node = head
    while node.op in AFTER_SCORES and node.inputs:
        node = symbol.nodes[node.inputs[0].node]
    if node.op not in LAYERS or not node.inputs or "embed" in node.name.lower():
        return None
    width = node.attrs.get("num_hidden") or node.attrs.get("num_filter") or ""
    if width.isdecimal() and len(width) < 10 and _is_power_of_two(int(width)) and int(width) >= SMALLEST_EMBEDDING:
        return None
    return node


def _is_power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def _is_global_pooling(node: SymbolNode) -> bool:
    return node.op == "Pooling" and node.attrs.get("global_pool") in ("True", "true", "1")
