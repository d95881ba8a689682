"""Rewrite a translated graph so that runtimes compute the same output faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.passes.fold_batch_norm import fold_batch_norm
from export.passes.keep_float32 import keep_float32
from export.passes.lrn_as_matmul import lrn_as_matmul
from export.passes.prelu_as_convolution import prelu_as_convolution
from export.passes.relu_and_min_as_clip import relu_and_min_as_clip
from export.passes.remove_expand import remove_expand
from export.passes.to_float16 import to_float16

if TYPE_CHECKING:
    from export.graph.graph import Graph


def optimize(
    graph: Graph, *, half: bool = False, plain_operators: bool = False, keep_batch_norm: bool = False
) -> Graph:
    """Fold batch norm, join and remove nodes, and replace LRN and PRelu by faster forms, in place.

    Parameters
    ----------
    graph : Graph
        From `export.translate.translate`.
    half : bool
        Compute a float32 network in float16 where that is safe.
    plain_operators : bool
        Keep ONNX's LRN and PRelu instead of the forms that CPUs compute faster.
    keep_batch_norm : bool
        Keep batch norm as separate operators, with the trained parameters.

    Returns
    -------
    Graph
        The graph that was passed.

    Raises
    ------
    MalformedModelError
        If folded parameters exceed float32.
    UnsupportedOpError
        If ``half`` is set for a network that is already in float16.
    """
    if not keep_batch_norm:
        fold_batch_norm(graph)
    remove_expand(graph)
    relu_and_min_as_clip(graph)
    if half:
        to_float16(graph)
    keep_float32(graph)
    if not plain_operators:
        lrn_as_matmul(graph)
        prelu_as_convolution(graph)
    graph.drop_unused()
    return graph
