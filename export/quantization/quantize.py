"""Single precision -> int8: weights per filter and activations per tensor, as QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from export.libraries import onnx
from export.quantization.ranges import silence

MAX_SPREAD = 8
LAYERS = ("Conv", "Gemm", "MatMul")
QUANTIZED = [
    *LAYERS,
    *("Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool"),
    *("Concat", "Add", "Mul", "Flatten", "Reshape"),
]


def quantize(model: onnx.ModelProto, ranges: Any, keep: Iterable[str] = ()) -> onnx.ModelProto:
    """Quantize a model with onnxruntime's own tools.

    Parameters
    ----------
    model : ModelProto
        In single precision; left as it is.
    ranges : TensorsData
        Of its activations, as `export.quantization.ranges.activation_ranges` found them for `QUANTIZED`.
    keep : iterable of str
        Names of nodes that stay in single precision; see `sensitive_nodes`.

    Returns
    -------
    ModelProto
        Activations uint8, weights int8 with a scale for each filter; the same input and outputs, no metadata.
    """
    from onnxruntime.quantization import QDQQuantizer, QuantType

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    with silence():
        quantizer = QDQQuantizer(
            copy,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=[],
            nodes_to_exclude=list(keep),
            op_types_to_quantize=QUANTIZED,
            extra_options={},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    quantized: onnx.ModelProto = quantizer.model.model
    del quantized.metadata_props[:]
    return quantized


def sensitive_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that int8 is too coarse for: the embedding layer, and squares but for those of LRN.

    The embedding layer is the last convolution or matrix product before the output. Squares have the range of ``x``
    squared; see `coarse_sums` for those of LRN.
    """
    of_lrn = {square.name for square, _ in _sums_of_squares(model)}
    squares = {node.name for node in model.graph.node if _is_square(node)}
    return sorted({*_last_layers(model), *(squares - of_lrn)})


def coarse_sums(model: onnx.ModelProto, quantized: onnx.ModelProto) -> list[str]:
    """Nodes of LRN that int8 has turned out too coarse for.

    LRN divides by a power of ``energy = bias + sum of squares``. One step of int8 is 1/255 of the largest energy; if
    that exceeds `MAX_SPREAD` biases, the error where there is little energy exceeds that of int8 elsewhere, 1 %.

    Parameters
    ----------
    model, quantized : ModelProto
        Before and after `quantize`.

    Returns
    -------
    list of str
        The squares and sums, to be kept in another round.
    """
    constants = {initializer.name: initializer for initializer in quantized.graph.initializer}
    steps = {
        node.input[0]: float(onnx.numpy_helper.to_array(constants[node.input[1]]))
        for node in quantized.graph.node
        if node.op_type == "QuantizeLinear"
    }
    biases = {initializer.name: initializer for initializer in model.graph.initializer}
    coarse = []
    for square, energy in _sums_of_squares(model):
        bias = float(onnx.numpy_helper.to_array(biases[energy.input[2]]).min())
        if energy.output[0] in steps and 255 * steps[energy.output[0]] > MAX_SPREAD * bias:
            coarse += [square.name, energy.name]
    return coarse


def _last_layers(model: onnx.ModelProto) -> Iterator[str]:
    producers = {output: node for node in model.graph.node for output in node.output}
    ahead, seen = [info.name for info in model.graph.output], set()
    while ahead:
        name = ahead.pop()
        node = producers.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type in LAYERS:
            yield node.name
        else:
            ahead.extend(node.input)


def _sums_of_squares(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto]]:
    """The squares and the convolutions that LRN consists of (`export.passes.lrn_as_matmul`)."""
    squares = {node.output[0]: node for node in model.graph.node if _is_square(node)}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] in squares and len(node.input) == 3:
            yield squares[node.input[0]], node


def _is_square(node: onnx.NodeProto) -> bool:
    return node.op_type == "Mul" and len(set(node.input)) == 1
