"""Record what MXNet computes: inputs, a network's outputs for them, and its nodes' outputs for the first image.

`export` verifies a translation against it, on hosts without MXNet.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from gluon_lifted.contract import IMAGE_INPUT, MAX_REFERENCE_BYTES, distinct
from gluon_lifted.devices import mxnet_contexts
from gluon_lifted.errors import DataError
from gluon_lifted.files import replaced_file, write_npz
from gluon_lifted.mx import gluon, mx, nd
from gluon_lifted.networks.mxnet_errors import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.contract import SavedNetwork

MAX_NODE_BYTES = 2**28  # node outputs of a reference, in total
HEADER_BYTES = 512  # of an array in the archive, at most

Arrays = dict[str, "NDArray[Any]"]


def write_reference(
    network: SavedNetwork,
    feeds: Arrays,
    path: Path,
    device: str = "cpu",
    check: Callable[[Arrays, Arrays], None] = lambda outputs, nodes: None,
    *,
    batch_axes: Mapping[str, int] | None = None,
) -> list[str]:
    """Compute a network's outputs and write them with its inputs, in the format that ``lifted verify`` reads.

    Parameters
    ----------
    network : SavedNetwork
        The symbol and params files.
    feeds : dict
        Name of an input -> array in the type that the network takes, such as images (n, C, H, W).
    path : Path
        The ``.npz`` file; replaced if it exists.
    device : str
        ``"cpu"``, or a GPU that MXNet can use: ``"gpu:0"``.
    check : callable
        Called with the outputs and the nodes' outputs before the file is written. If it raises an error, nothing is
        written.
    batch_axes : mapping, optional
        Name of an input -> its batch axis. The default is the first axis of every input.

    Returns
    -------
    list of str
        Names of the outputs.

    Raises
    ------
    DataError
        If MXNet cannot load or run the network, or the file would be too large or cannot be written.
    DeviceError
        If the GPU does not exist, or is too new for MXNet.
    """
    context = mxnet_contexts(device)[0]
    with explained(network), _shapes_of(network):
        outputs = network_outputs(network, feeds, context)
        nodes = node_outputs(network, _first_image(feeds, batch_axes), context=context)
    check(outputs, nodes)
    arrays = _stored(feeds) | outputs | nodes
    size = sum(array.nbytes + HEADER_BYTES for array in arrays.values())
    if size > MAX_REFERENCE_BYTES:
        raise DataError(
            f"{path}: inputs and outputs take {size:,} bytes; the limit of a reference is {MAX_REFERENCE_BYTES:,}. "
            "Give fewer images with --shape."
        )
    try:
        with replaced_file(path) as temporary, temporary.open("wb") as file:
            write_npz(file, arrays)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}).") from None
    return list(outputs)


def _shapes_of(network: SavedNetwork) -> Any:
    """Read shapes as MXNet did when it wrote the symbol: in the NumPy interface, a size of 0 does not mean unknown."""
    document = json.loads(network.symbol.read_text())
    attrs = document.get("attrs") if isinstance(document, dict) else None
    return mx.util.np_shape(isinstance(attrs, dict) and attrs.get("is_np_shape") == ["int", 1])


def network_outputs(network: SavedNetwork, feeds: Arrays, context: Any = None) -> Arrays:
    """Compute a network's outputs for its inputs ``feeds``, by name; on the CPU by default."""
    symbol = mx.sym.load(str(network.symbol))
    if network.output is not None:
        symbol = symbol.get_internals()[f"{network.output.removesuffix('_output')}_output"]
    return dict(zip(distinct(symbol.list_outputs()), _run(symbol, network, feeds, context), strict=True))


def node_outputs(network: SavedNetwork, feeds: Arrays, ops: Collection[str] = (), context: Any = None) -> Arrays:
    """Compute the outputs of nodes as ``node/<name>``, in order, up to `MAX_NODE_BYTES` in total.

    Parameters
    ----------
    feeds : dict
        Name of an input -> array. Nothing is recorded if it is empty.
    ops : collection of str
        Operators to record; all if empty.
    """
    if not feeds:
        return {}
    symbol = mx.sym.load(str(network.symbol))
    internals = symbol.get_internals()
    outputs = Counter(internals.list_outputs())  # a block that is used several times gives its name to several nodes
    names = [
        node["name"]
        for node in json.loads(network.symbol.read_text())["nodes"]
        if node["op"] != "null" and (not ops or node["op"] in ops) and outputs[f"{node['name']}_output"] == 1
    ]
    if not names:
        return {}
    group = mx.sym.Group([internals[f"{name}_output"] for name in names])
    shapes = group.infer_shape_partial(**{name: array.shape for name, array in feeds.items()})[1]
    kept, taken = [], 0
    for name, shape in zip(names, shapes, strict=True):
        taken += 4 * math.prod(shape)
        if taken <= MAX_NODE_BYTES:
            kept.append(name)
    group = mx.sym.Group([internals[f"{name}_output"] for name in kept])
    values = _run(group, network, feeds, context)
    return {f"node/{name}": value for name, value in zip(kept, values, strict=True)}


def _stored(feeds: Arrays) -> Arrays:
    """Name a network's inputs as the file does: the only one ``data``, several ``input/<name>``."""
    if len(feeds) == 1:
        return dict(zip([IMAGE_INPUT], feeds.values(), strict=True))
    return {f"input/{name}": array for name, array in feeds.items()}


def _first_image(feeds: Arrays, batch_axes: Mapping[str, int] | None) -> Arrays:
    """Cut the first image of every input."""
    axes = dict.fromkeys(feeds, 0) if batch_axes is None else batch_axes
    return {name: array.take([0], axis=axes[name]) if name in axes else array for name, array in feeds.items()}


def _run(symbol: Any, network: SavedNetwork, feeds: Arrays, context: Any) -> list[NDArray[Any]]:
    """Run a symbol as a block: MXNet's executors fuse layers on the CPU and fail if an inner one is an output."""
    context = context or mx.cpu()
    loaded = nd.load(str(network.params)) or {}  # a list if there are none
    arrays = {name[4:]: array for name, array in loaded.items()}  # arg:<name>, aux:<name>
    inputs = {name: nd.array(array, ctx=context, dtype=array.dtype) for name, array in feeds.items()}
    shapes = symbol.infer_shape_partial(**{name: array.shape for name, array in feeds.items()})[0]
    for name, shape in zip(symbol.list_arguments(), shapes, strict=True):
        if name not in arrays and name.endswith("label"):  # a loss's label; without effect in inference
            inputs[name] = nd.zeros(shape, ctx=context)
    block = gluon.SymbolBlock(
        symbol, [mx.sym.var(name, dtype=str(array.dtype.__name__)) for name, array in inputs.items()]
    )
    for name, parameter in block.collect_params().items():
        parameter.shape = arrays[name].shape
        parameter.cast(arrays[name].dtype)
        parameter.initialize(ctx=context)
        parameter.set_data(arrays[name])
    outputs = block(*inputs.values())
    return [output.asnumpy() for output in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]
