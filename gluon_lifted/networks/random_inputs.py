"""Random inputs for a reference: normal values, or indices and sequence lengths where a network takes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.mx import mx
from gluon_lifted.networks.mxnet_errors import explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from gluon_lifted.contract import SavedNetwork

# Operators that pass an input's values on. Lengths are repeated for every head and every position.
PASSING = {
    *("_copy", "amp_cast", "Cast", "expand_dims", "Flatten", "Reshape", "slice_axis", "squeeze", "SwapAxis"),
    *("transpose", "broadcast_axis", "broadcast_like", "broadcast_mul", "broadcast_to"),
}
# Operators that take lengths -> the position of the lengths among their inputs, and the default of the time axis
WITH_LENGTHS = {"SequenceMask": (1, 0), "SequenceLast": (1, 0), "SequenceReverse": (1, 0), "softmax": (1, -1)}
Range = tuple[int, int]  # first, and one past the last
Shapes = dict[str, tuple[int, ...]]


def random_inputs(
    network: SavedNetwork, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, np.dtype[Any]]
) -> dict[str, NDArray[Any]]:
    """Make inputs: normally distributed numbers, indices below a vocabulary, or lengths of at least 1.

    Parameters
    ----------
    shapes, dtypes : mapping
        Name of an input -> its shape, and its type if that is not float32. An integer input whose use is not known
        gets 0 and 1.

    Raises
    ------
    DataError
        If MXNet cannot load the network, or its operators do not take these shapes.
    """
    with explained(network):
        nodes = json.loads(network.symbol.read_text())["nodes"]
        inferred = _inferred(network, shapes)
    rng = np.random.default_rng(0)
    inputs = {}
    for name, shape in shapes.items():
        dtype = np.dtype(dtypes.get(name, np.float32))
        bounds = next(_ranges(nodes, inferred, name), (0, 2) if dtype.kind in "iu" else None)
        values = rng.normal(size=shape) if bounds is None else rng.integers(*bounds, shape)
        inputs[name] = values.astype(dtype)
    return inputs


def _inferred(network: SavedNetwork, shapes: Mapping[str, tuple[int, ...]]) -> Shapes:
    """Ask MXNet for the shapes of all tensors, by node name. Shapes that it cannot infer are left out."""
    internals = mx.sym.load(str(network.symbol)).get_internals()
    outputs = internals.infer_shape_partial(**shapes)[1]
    named = zip(internals.list_outputs(), outputs, strict=True)
    return {name.removesuffix("_output"): shape for name, shape in named if shape}


def _attributes(node: dict[str, Any]) -> dict[str, str]:
    """Return the attributes, whose key differs between MXNet versions."""
    return {name: text for key in ("param", "attr", "attrs") for name, text in node.get(key, {}).items()}


def _ranges(nodes: list[dict[str, Any]], shapes: Shapes, name: str) -> Iterator[Range]:
    """Yield the ranges of integers accepted by the operators that an input reaches unchanged."""
    reached = {index for index, node in enumerate(nodes) if node["op"] == "null" and node["name"] == name}
    for index, node in enumerate(nodes):
        attrs, sources = _attributes(node), [entry[0] for entry in node["inputs"]]
        taken = [position for position, source in enumerate(sources) if source in reached]
        if not taken:
            continue
        if node["op"] == "Embedding" and taken == [0]:
            yield 0, int(attrs["input_dim"])
        elif node["op"] == "one_hot":
            yield 0, int(attrs["depth"])
        elif node["op"] in WITH_LENGTHS and taken == [WITH_LENGTHS[node["op"]][0]]:
            time = shapes[nodes[sources[0]]["name"]][int(attrs.get("axis", WITH_LENGTHS[node["op"]][1]))]
            yield 1, time + 1
        elif node["op"] == "RNN" and taken == [len(sources) - 1] and attrs.get("use_sequence_length") == "True":
            yield 1, shapes[nodes[sources[0]]["name"]][0] + 1
        elif node["op"] in PASSING:
            reached.add(index)
