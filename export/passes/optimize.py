"""Rewrite a translated graph so that runtimes compute the same output faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.passes.fold_batch_norm import fold_batch_norm
from export.passes.keep_float32 import keep_float32
from export.passes.lrn_as_matmul import lrn_as_matmul
from export.passes.remove_expand import remove_expand
from export.passes.to_float16 import to_float16

if TYPE_CHECKING:
    from export.graph.graph import Graph


def optimize(graph: Graph, *, half: bool = False, exact_lrn: bool = False, keep_batch_norm: bool = False) -> Graph:
    """Fold batch norm, remove unused nodes and replace LRN by its fast form, in place.

    Parameters
    ----------
    graph : Graph
        From `export.translate.translate`.
    half : bool
        Compute a float32 network in float16 where that is safe.
    exact_lrn : bool
        Keep ONNX's LRN operator instead of the form that runtimes compute faster.
    keep_batch_norm : bool
        Keep batch norm as operators of its own, with the parameters that were trained.

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
    if half:
        to_float16(graph)
    keep_float32(graph)
    if not exact_lrn:
        lrn_as_matmul(graph)
    graph.drop_unused()
    return graph
