"""Quantize float32 models to int8: weights per filter, activations per tensor, in QDQ format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.libraries import onnx
from export.quantization.ranges import silence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onnxruntime.quantization.calibrate import TensorsData

MAX_SPREAD = 8
LAYERS = ("Conv", "Gemm", "MatMul")
QUANTIZED = [
    *LAYERS,
    *("Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool"),
    *("Concat", "Add", "Mul", "Flatten", "Reshape"),
]


def quantize(model: onnx.ModelProto, ranges: TensorsData, keep: Iterable[str] = ()) -> onnx.ModelProto:
    """Quantize a model with onnxruntime's own tools.

    Parameters
    ----------
    model : ModelProto
        In float32; not changed.
    ranges : TensorsData
        Ranges of its activations, from `export.quantization.ranges.activation_ranges` for `QUANTIZED`.
    keep : iterable of str
        Names of nodes that stay in float32; see `sensitive_nodes`.

    Returns
    -------
    ModelProto
        Activations are uint8, weights int8 with a scale per filter. Input and outputs stay, metadata is removed.
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
    """Return the names of nodes to keep in float32: the embedding layer, and squares outside LRN.

    The embedding layer is the last convolution or matrix product before the output. Squares have a wide range.
    `coarse_sums` decides on LRN's squares.
    """
    lrn_squares = {square.name for square, _ in _sums_of_squares(model)}
    squares = {node.name for node in model.graph.node if _is_square(node)}
    return sorted({*_last_layers(model), *(squares - lrn_squares)})


def coarse_sums(model: onnx.ModelProto, quantized: onnx.ModelProto) -> list[str]:
    """Return the nodes of LRN for which int8 proved too coarse.

    LRN divides by a power of ``energy = bias + sum of squares``. A step of int8 is 1/255 of the largest energy. If that
    exceeds `MAX_SPREAD` times the bias, the error at low energy exceeds 1 %, int8's error elsewhere.

    Parameters
    ----------
    model, quantized : ModelProto
        Before and after `quantize`.

    Returns
    -------
    list of str
        Names of the squares and sums to keep in float32 when the model is quantized again.
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
    """Yield the square and the convolution of each LRN (`export.passes.lrn_as_matmul`)."""
    squares = {node.output[0]: node for node in model.graph.node if _is_square(node)}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] in squares and len(node.input) == 3:
            yield squares[node.input[0]], node


def _is_square(node: onnx.NodeProto) -> bool:
    return node.op_type == "Mul" and len(set(node.input)) == 1
