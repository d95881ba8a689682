"""Turn a graph into an ONNX model that passes ONNX's own checker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError
from export.external_data import external_tensor
from export.graph.shape import Batch
from export.libraries import onnx
from gluon_lifted import __version__
from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from export.graph.graph import Graph, GraphNode, Tensor

helper, numpy_helper = onnx.helper, onnx.numpy_helper
AXES_SINCE_18 = {"ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"}
OPSET_OF = {"GridSample": 16}  # the first with these operators, where it is newer than `OLDEST_OPSET`
OLDEST_OPSET = 13  # the first whose ReduceSum takes its axes as an input
DEFAULT_OPSET = 17
MAX_CHECKED_ELEMENTS = 1024  # of a constant; the checker copies constants, so it gets no weights
MAX_MODEL_BYTES = 2**31 - 1  # protobuf's limit for a message
MAX_INLINE_BYTES = MAX_MODEL_BYTES - 2**26  # of constants; nodes, names and the card need the rest
MIN_EXTERNAL_BYTES = 1024  # smaller constants stay in the model: shapes and axes, which runtimes read early


def check_opset(opset: int) -> None:
    """Raise `ConfigError` if the opset is too old, or too new for the installed onnx."""
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ConfigError(
            f"opset is {opset}; expected {OLDEST_OPSET} to {newest}, which onnx {onnx.__version__} can write."
        )


def build_model(graph: Graph, opset: int) -> onnx.ModelProto:
    """Turn a graph into an ONNX model and check it with ONNX's own checker.

    Parameters
    ----------
    graph : Graph
        From `export.translate.translate`.
    opset : int
        Version of ONNX's operator set.

    Returns
    -------
    ModelProto
        Sizes that grow with the batch have the symbolic dimension ``N``. Parameters are initializers and not inputs,
        so that runtimes may fold them. The IR version is the oldest that allows the opset. If the parameters exceed
        `MAX_INLINE_BYTES`, the model only names the large ones: see `export.external_data`, with the graph's constants.

    Raises
    ------
    ConfigError
        If the opset is not available, or older than an operator of the graph.
    """
    check_opset(opset)
    _check_operators(graph, opset)
    _check(_model(graph, opset, largest=MAX_CHECKED_ELEMENTS))
    return _model(graph, opset)


def _check_operators(graph: Graph, opset: int) -> None:
    for node in graph.nodes:
        if opset < OPSET_OF.get(node.op, OLDEST_OPSET):
            raise ConfigError(
                f"{node.op} {node.name!r} needs opset {OPSET_OF[node.op]}, not {opset}. Give --opset "
                f"{OPSET_OF[node.op]}."
            )


def _model(graph: Graph, opset: int, largest: int | None = None) -> onnx.ModelProto:
    """Build the model. Constants of more than ``largest`` elements become inputs, known only by type and shape."""
    inputs = [_info(tensor) for tensor in graph.inputs]
    nodes = [_for_opset(node, graph, opset) for node in graph.nodes]
    external = largest is None and graph.constant_bytes() > MAX_INLINE_BYTES
    taken = {name for node in nodes for name in node.inputs}
    constants = []
    for name, array in graph.constants.items():
        if name not in taken:
            continue
        if largest is not None and array.size > largest:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            inputs.append(helper.make_tensor_value_info(name, kind, array.shape))
        elif external and array.nbytes >= MIN_EXTERNAL_BYTES:
            constants.append(external_tensor(name, array))
        else:
            constants.append(numpy_helper.from_array(array, name))
    onnx_graph = helper.make_graph(
        [
            helper.make_node(node.op, list(node.inputs), list(node.outputs), name=node.name, **node.attrs)
            for node in nodes
        ],
        "network",
        inputs,
        [_info(graph.tensors[name]) for name in graph.outputs],
        constants,
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(
        onnx_graph,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="gluon-lifted",
        producer_version=__version__,
    )


def _for_opset(node: GraphNode, graph: Graph, opset: int) -> GraphNode:
    """Adapt a node to the opset.

    Before 18, some reductions took their axes as an attribute. Before 20, GridSample's mode was called bilinear.
    """
    if node.op == "GridSample" and opset < 20:
        return replace(node, attrs={**node.attrs, "mode": "bilinear"})
    if node.op in AXES_SINCE_18 and opset < 18:
        axes = graph.constants[node.inputs[1]].tolist()
        return replace(node, inputs=node.inputs[:1], attrs={**node.attrs, "axes": axes})
    if node.op == "RoiAlign" and opset < 16:
        return _unaligned(node, opset)
    return node


def _unaligned(node: GraphNode, opset: int) -> GraphNode:
    """Leave out the mode of a RoiAlign before opset 16, which supports only output_half_pixel."""
    attrs = dict(node.attrs)
    if (mode := attrs.pop("coordinate_transformation_mode")) != "output_half_pixel":
        raise ConfigError(f"{node.op} {node.name!r}: mode {mode} needs opset 16, not {opset}. Give --opset 16.")
    return replace(node, attrs=attrs)


def _check(model: onnx.ModelProto) -> None:
    """Run ONNX's checker and its shape inference, which must not contradict the declared shapes of the outputs.

    Only sizes that ONNX infers and that do not grow with the batch are compared.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.shape_inference.InferenceError as error:  # most ONNX operators accept only some types
        if "unsupported type" not in str(error):
            raise
        reason = str(error).strip().splitlines()[0].removeprefix("[ShapeInferenceError] ")
        raise UnsupportedOpError(f"ONNX cannot express the network: {reason:.200}.") from None
    declared = [_output(info) for info in model.graph.output]
    for info in model.graph.output:
        info.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    for expected, info in zip(declared, inferred.graph.output, strict=True):
        output = _output(info)
        pairs = zip(output[2], expected[2], strict=False)
        if output[:2] != expected[:2] or any(0 not in pair and len(set(pair)) > 1 for pair in pairs):
            raise AssertionError(f"ONNX infers the output {output}; expected {expected}")


def _info(tensor: Tensor) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
    sizes = [repr(size) if isinstance(size, Batch) else size for size in tensor.shape]
    return helper.make_tensor_value_info(tensor.name, kind, sizes)


def _output(info: onnx.ValueInfoProto) -> tuple[str, int, list[int]]:
    """Return name, type and shape; sizes that are not numbers are 0."""
    tensor = info.type.tensor_type
    return info.name, tensor.elem_type, [dim.dim_value for dim in tensor.shape.dim]
