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
    """Names of the nodes that int8 is too coarse for: the embedding layer, and sums of squares.

    The embedding layer is the last convolution or matrix product before the output. The sums are those of
    ``x * x``, as the fast forms of LRN have them: their range is that of ``x`` squared.
    """
    return sorted({*_last_layers(model), *_sums_of_squares(model)})


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


def _sums_of_squares(model: onnx.ModelProto) -> Iterator[str]:
    """The squares, the sum over them, and what is added to it."""
    wide: set[str] = set()
    for node in model.graph.node:
        is_square = node.op_type == "Pow" or (node.op_type == "Mul" and node.input[0] == node.input[1])
        if is_square or (node.op_type in (*LAYERS, "Add") and wide.intersection(node.input)):
            wide.update(node.output)
            yield node.name
