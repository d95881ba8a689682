"""Quantize a verified model to int8, using the ranges of its activations on images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from export.external_data import external_tensors
from export.passes.preprocessing import NORMALIZED_PIXELS
from export.quantization.calibration import calibration_images
from export.quantization.quantize import QUANTIZED, coarse_sums, quantize, sensitive_nodes
from export.quantization.ranges import activation_ranges
from export.verify import verify_alone
from gluon_lifted.contract import PIXEL_INPUT
from gluon_lifted.errors import ConfigError
from gluon_lifted.images import normalize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export.libraries import onnx
    from export.options import ExportOptions
    from gluon_lifted.images import Preprocessing

CALIBRATION_BATCH = 10  # keeps the memory of all activations bounded


def quantize_static(
    model: onnx.ModelProto, preprocessing: Preprocessing | None, options: ExportOptions
) -> onnx.ModelProto:
    """Return the model in int8, and verify that it runs.

    Parameters
    ----------
    model : ModelProto
        In float32, with one input of images.
    preprocessing : Preprocessing, optional
        How images become the input; None without a model card.
    options : ExportOptions
        Its folder of calibration images and the method to measure ranges.

    Raises
    ------
    ConfigError
        If there is no card, no folder, or the model keeps its constants in a second file.
    """
    if preprocessing is None or options.calibration is None:
        raise ConfigError(
            "int8 needs to know how images are preprocessed, and the network has no model card. Add one with "
            "--preprocessing."
        )
    if external_tensors(model):
        raise ConfigError("networks of 2 GiB or more cannot be exported in int8. Give --precision fp16 or fp32.")
    images: NDArray[Any] = calibration_images(options.calibration, preprocessing)
    if model.graph.input[0].name != PIXEL_INPUT:
        images = normalize(images, preprocessing)
    batches = (images[start : start + CALIBRATION_BATCH] for start in range(0, len(images), CALIBRATION_BATCH))
    ranges = activation_ranges(model, batches, QUANTIZED, options.calibration_method)
    keep = [*sensitive_nodes(model), NORMALIZED_PIXELS]
    quantized = quantize(model, ranges, keep)
    if coarse := coarse_sums(model, quantized):
        quantized = quantize(model, ranges, [*keep, *coarse])
    verify_alone(quantized)
    return quantized
