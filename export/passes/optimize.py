"""A translated graph -> one that runtimes compute fast, with the same output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.passes.fold_batch_norm import fold_batch_norm
from export.passes.keep_float32 import keep_float32
from export.passes.lrn_as_matmul import lrn_as_matmul
from export.passes.remove_expand import remove_expand
from export.passes.to_float16 import to_float16

if TYPE_CHECKING:
    from export.graph.graph import Graph


def optimize(graph: Graph, *, half: bool = False, exact_lrn: bool = False) -> Graph:
    """Fold batch norm, drop what has no use, and put LRN into its fast form; in place.

    Parameters
    ----------
    graph : Graph
        As `export.translate.translate` returns it.
    half : bool
        Compute a network of single precision in half where that is safe.
    exact_lrn : bool
        Keep ONNX's LRN operator, and not the form that runtimes compute faster.

    Returns
    -------
    Graph
        The same.

    Raises
    ------
    MalformedModelError
        If numbers that belong together exceed float32.
    UnsupportedOpError
        If ``half`` is asked for a network in half precision.
    """
    fold_batch_norm(graph)
    remove_expand(graph)
    if half:
        to_float16(graph)
    keep_float32(graph)
    if not exact_lrn:
        lrn_as_matmul(graph)
    graph.drop_unused()
    return graph
