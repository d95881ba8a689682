"""Single precision -> int8: weights per filter and activations per tensor, as QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.libraries import onnx

METHODS = ("minmax", "percentile", "entropy")
PERCENTILE = 99.999


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
        Names of nodes that stay in single precision.

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
    with tempfile.TemporaryDirectory() as name, redirect_stdout(io.StringIO()):  # it prints
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
            nodes_to_exclude=list(keep),
            calibrate_method=kinds[method],
            extra_options={"CalibPercentile": PERCENTILE},
        )
        found: onnx.ModelProto = onnx.load(target)
    del found.metadata_props[:]
    return found


def last_layer(model: onnx.ModelProto) -> list[str]:
    """Names of the matrix products that lead to the output with no other between: the embedding layer."""
    producers = {output: node for node in model.graph.node for output in node.output}
    found, ahead = [], [one.name for one in model.graph.output]
    while ahead:
        node = producers.get(ahead.pop())
        if node is None:
            continue
        if node.op_type in ("Gemm", "MatMul", "Conv"):
            found.append(node.name)
        else:
            ahead.extend(node.input)
    return found
