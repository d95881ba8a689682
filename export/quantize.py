"""Single precision -> int8: weights per filter and activations per tensor, as QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from export.libraries import onnx

METHODS = ("minmax", "percentile", "entropy")
PERCENTILE = 99.999
MAX_SPREAD = 8
LAYERS = ("Conv", "Gemm", "MatMul")
QUANTIZED = [
    *LAYERS,
    "Relu",
    "Clip",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Concat",
    "Add",
    "Mul",
    "Flatten",
    "Reshape",
]


class _Batches:
    """What onnxruntime's calibration asks for its data: a feed at a time, then None."""

    def __init__(self, input_name: str, batches: Iterable[NDArray[Any]]) -> None:
        self._feeds = ({input_name: batch} for batch in batches)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._feeds, None)


def quantize(
    model: onnx.ModelProto, batches: Iterable[NDArray[Any]], method: str = "minmax", keep: Iterable[str] = ()
) -> onnx.ModelProto:
    """Quantise a model with onnxruntime's own tools.

    Parameters
    ----------
    model : ModelProto
        In single precision, with one input.
    batches : iterable of ndarray
        What the model is given in use, as its input takes it; the ranges of activations are taken from them.
    method : str
        Of those ranges: ``"minmax"``, ``"percentile"`` (99.999 % of the values) or ``"entropy"``.
    keep : iterable of str
        Names of nodes that stay in single precision; see `sensitive_nodes`.

    Returns
    -------
    ModelProto
        Activations uint8, weights int8 with a scale for each filter; the same input and outputs, no metadata.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    kinds = {
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
    with tempfile.TemporaryDirectory() as name, _silence():
        source, target = Path(name, "single.onnx"), Path(name, "int8.onnx")
        source.write_bytes(model.SerializeToString())
        quantize_static(
            source,
            target,
            _Batches(model.graph.input[0].name, batches),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=QUANTIZED,
            nodes_to_exclude=list(keep),
            calibrate_method=kinds[method],
            extra_options={"CalibPercentile": PERCENTILE},
        )
        found: onnx.ModelProto = onnx.load(target)
    del found.metadata_props[:]
    return found


@contextmanager
def _silence() -> Iterator[None]:
    """onnxruntime's tools print, and advise a preparation that our graphs do not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


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
    constants = {one.name: one for one in quantized.graph.initializer}
    steps = {
        node.input[0]: float(onnx.numpy_helper.to_array(constants[node.input[1]]))
        for node in quantized.graph.node
        if node.op_type == "QuantizeLinear"
    }
    biases = {one.name: one for one in model.graph.initializer}
    found = []
    for square, energy in _sums_of_squares(model):
        bias = float(onnx.numpy_helper.to_array(biases[energy.input[2]]).min())
        if energy.output[0] in steps and 255 * steps[energy.output[0]] > MAX_SPREAD * bias:
            found += [square.name, energy.name]
    return found


def _last_layers(model: onnx.ModelProto) -> Iterator[str]:
    producers = {output: node for node in model.graph.node for output in node.output}
    ahead, seen = [one.name for one in model.graph.output], set()
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
    """The squares and the convolutions that LRN consists of (`export.passes.lrn`)."""
    squares = {node.output[0]: node for node in model.graph.node if _is_square(node)}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] in squares and len(node.input) == 3:
            yield squares[node.input[0]], node


def _is_square(node: onnx.NodeProto) -> bool:
    return node.op_type == "Mul" and len(set(node.input)) == 1
