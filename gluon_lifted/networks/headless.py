"""Remove a classifier's head: trace a Gluon network and cut it after its last features.

The cut is made in the network's symbol. Its nodes are renamed: parameters to their path in the network
(``features.0.weight``, as in `Block.save_parameters`), operators to type and number. GluonCV's own names contain a
process-wide counter, which would make the names in checkpoints and exported models vary.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from gluon_lifted.mx import gluon, mx

WEIGHTED = {"FullyConnected", "Convolution"}
BETWEEN = {"Dropout", "Flatten", "Reshape", "amp_cast"}  # can stand between features and classifier; values stay
SIDE = 224  # pixels; the usual crop of ImageNet networks

Node = dict[str, Any]


def headless(network: Any, side: int = SIDE, *, classifier_layers: int = 1, fixed_batch_norm: bool = False) -> Any:
    """Cut off a network's classifier and pool its features: images (N, 3, H, W) -> (N, C, 1, 1) or (N, C).

    Parameters
    ----------
    network : HybridBlock
        Images -> classes. Only the first output counts.
    side : int
        Side in pixels of the images that the network is made for. Decides whether features remain to be pooled.
    classifier_layers : int
        Number of convolutions and fully connected layers in the classifier, the last of the network.
    fixed_batch_norm : bool
        Normalize by the running mean and variance in training too, and leave them unchanged.

    Returns
    -------
    SymbolBlock
        With new parameters that have the initializers and multipliers of the network's. A pooling of fixed window
        before the classifier becomes global, so that other crops fit.
    """
    output = network(mx.sym.var("data"))
    output = output[0] if isinstance(output, (list, tuple)) else output
    parameters = network._collect_params_with_prefix()  # {"features.0.weight": Parameter}
    graph: dict[str, list[Node]] = json.loads(output.tojson(remove_amp_cast=False))
    _rename(graph["nodes"], {parameter.name: name for name, parameter in parameters.items()})
    if fixed_batch_norm:
        for node in graph["nodes"]:
            if node["op"] == "BatchNorm":
                node["attrs"]["use_global_stats"] = "True"
    internals = mx.sym.load_json(json.dumps(graph)).get_internals()
    features = internals[f"{_features(graph['nodes'], classifier_layers)['name']}_output"]
    height, width = (*_shape(features, side)[2:], 1, 1)[:2]
    if height * width > 1:
        features = mx.sym.Pooling(features, kernel=(1, 1), global_pool=True, pool_type="avg", name="global_pool")
    return gluon.SymbolBlock(features, mx.sym.var("data", dtype="float32"), _copies(parameters, features))


def accepts(block: Any, side: int) -> bool:
    """Return whether every layer of a block has a non-empty output for images of ``side`` x ``side`` px."""
    try:
        return min(_shape(block(mx.sym.var("data")), side)) > 0
    except mx.MXNetError:  # a kernel larger than its input, or branches that no longer fit
        return False


def _shape(symbol: Any, side: int) -> tuple[int, ...]:
    """Infer the output's shape, with 0 for unknown axes. `infer_shape` would print before it raises."""
    return tuple(symbol.infer_shape_partial(data=(1, 3, side, side))[1][0])


def _rename(nodes: list[Node], parameters: dict[str, str]) -> None:
    """Rename in place: parameters by the mapping, operators to ``convolution0``, ``convolution1``, ..."""
    seen: Counter[str] = Counter()
    for node in nodes:
        if node["op"] == "null":
            node["name"] = parameters.get(node["name"], node["name"])
        else:
            kind = node["op"].lower().strip("_")
            node["name"] = f"{kind}{seen[kind]}"
            seen[kind] += 1


def _features(nodes: list[Node], classifier_layers: int) -> Node:
    """Return the node whose output feeds the classifier, before a pooling of fixed window. Nodes are sorted."""
    node: Node = [candidate for candidate in nodes if candidate["op"] in WEIGHTED][-classifier_layers]
    node = nodes[node["inputs"][0][0]]
    while node["op"] in BETWEEN:
        node = nodes[node["inputs"][0][0]]
    if node["op"] == "Pooling" and node["attrs"].get("global_pool") != "True":
        node = nodes[node["inputs"][0][0]]
    return node


def _copies(parameters: dict[str, Any], symbol: Any) -> Any:
    """Copy the settings of the parameters that the symbol uses, under their names in the symbol."""
    used = {*symbol.list_arguments(), *symbol.list_auxiliary_states()}
    copies = gluon.ParameterDict("")
    for name, parameter in parameters.items():
        if name in used:
            copies.get(
                name,
                shape=parameter.shape,
                dtype=parameter.dtype,
                init=parameter.init,
                lr_mult=parameter.lr_mult,
                wd_mult=parameter.wd_mult,
                grad_req=parameter.grad_req,
                differentiable=parameter.grad_req != "null",
                allow_deferred_init=True,
            )
    return copies
