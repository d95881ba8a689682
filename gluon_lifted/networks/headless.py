"""A classifier without its head: a traced Gluon network cut behind its last features, as a block of its own.

The cut is made in the network's symbol, whose nodes are renamed on the way: parameters to their place in the network
(``features.0.weight``, the names of `Block.save_parameters`), operators to their kind and number. GluonCV's own
names count the networks of a process, and would change a checkpoint or an exported model with them.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from gluon_lifted.mx import gluon, mx

WEIGHTED = {"FullyConnected", "Convolution"}
BETWEEN = {"Dropout", "Flatten", "Reshape", "amp_cast"}  # stand between features and classifier, and change no value
SIDE = 224  # pixels; what a network of ImageNet is measured at

Node = dict[str, Any]


def headless(network: Any, side: int = SIDE) -> Any:
    """Cut a classifier off and pool what is left: images (N, 3, H, W) -> (N, C, 1, 1) or (N, C).

    Parameters
    ----------
    network : HybridBlock
        Images -> classes; its last convolution or fully connected layer is the classifier. If there are several
        outputs, the first counts.
    side : int
        Pixels of images that the whole network is made for; their features tell what is left to pool.

    Returns
    -------
    SymbolBlock
        With new parameters, of the initializers and multipliers that the network's own have. Pooling over a window
        of fixed size that led to the classifier is made global, so that other crops fit too.
    """
    output = network(mx.sym.var("data"))
    output = output[0] if isinstance(output, (list, tuple)) else output
    parameters = network._collect_params_with_prefix()  # {"features.0.weight": Parameter}
    graph: dict[str, list[Node]] = json.loads(output.tojson(remove_amp_cast=False))
    _rename(graph["nodes"], {one.name: name for name, one in parameters.items()})
    internals = mx.sym.load_json(json.dumps(graph)).get_internals()
    features = internals[f"{_features(graph['nodes'])['name']}_output"]
    height, width = (*_shape(features, side)[2:], 1, 1)[:2]
    if height * width > 1:
        features = mx.sym.Pooling(features, kernel=(1, 1), global_pool=True, pool_type="avg", name="global_pool")
    return gluon.SymbolBlock(features, mx.sym.var("data", dtype="float32"), _copies(parameters, features))


def accepts(block: Any, side: int) -> bool:
    """Whether every layer of a block is left something of images of ``side`` x ``side`` px."""
    try:
        return min(_shape(block(mx.sym.var("data")), side)) > 0
    except mx.MXNetError:  # a kernel larger than its input, or branches that no longer fit
        return False


def _shape(symbol: Any, side: int) -> tuple[int, ...]:
    """Shape of the one output, with 0 for what is unknown. `infer_shape` would print before it raises."""
    return tuple(symbol.infer_shape_partial(data=(1, 3, side, side))[1][0])


def _rename(nodes: list[Node], parameters: dict[str, str]) -> None:
    """In place: parameters by the mapping, operators ``convolution0``, ``convolution1``, ..."""
    seen: Counter[str] = Counter()
    for node in nodes:
        if node["op"] == "null":
            node["name"] = parameters.get(node["name"], node["name"])
        else:
            kind = node["op"].lower().strip("_")
            node["name"] = f"{kind}{seen[kind]}"
            seen[kind] += 1


def _features(nodes: list[Node]) -> Node:
    """The node whose output the classifier takes, before pooling of a fixed window; nodes are in order of need."""
    node: Node = [candidate for candidate in nodes if candidate["op"] in WEIGHTED][-1]
    node = nodes[node["inputs"][0][0]]
    while node["op"] in BETWEEN:
        node = nodes[node["inputs"][0][0]]
    if node["op"] == "Pooling" and node["attrs"].get("global_pool") != "True":
        node = nodes[node["inputs"][0][0]]
    return node


def _copies(parameters: dict[str, Any], symbol: Any) -> Any:
    """Parameters of the same kind as a network's, under the names that they have in the symbol."""
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
