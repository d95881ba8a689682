"""Verify that an ONNX model computes what MXNet computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from export.errors import MalformedModelError, ParityError
from export.external_data import NO_CONSTANTS, Constants
from export.libraries import onnx
from export.parity import (
    Parity,
    abs_errors,
    min_cosine,
    problem,
)
from export.passes.preprocessing import LEAST_NORM
from export.runner import SLOW_IMAGES, open_model
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import ConfigError
from gluon_lifted.images import denormalize, normalize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export.passes.preprocessing import GraphPreprocessing
    from export.reader.reference import Array, Reference
    from export.runner import Run
    from gluon_lifted.images import Preprocessing

LARGEST_BATCH = 64  # bounds memory for any number of rows
DEFAULT_TOLERANCE, HALF_TOLERANCE = 1e-4, 1e-2
PIXEL_TOLERANCE = 1e-3  # in normalized values, where one step of a pixel is 1 / std, about 1 / 58
SINGLE, HALF, PIXEL = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.UINT8


def verify(
    model: onnx.ModelProto,
    reference: Reference,
    tolerance: float | None = None,
    constants: Constants = NO_CONSTANTS,
) -> Parity:
    """Run a model on the CPU with onnxruntime and compare its outputs with MXNet's.

    Parameters
    ----------
    model : ModelProto
        Has one input, and the outputs of the reference. A model that takes pixels gets the pixels from which the
        reference's images were computed. If its card says that embeddings are normalized, they are compared at unit
        length.
    reference : Reference
        Images, and MXNet's outputs for them.
    tolerance : float, optional
        Bound on ``|onnx - mxnet|`` of any value, times the largest ``|mxnet|`` if that is above 1. The default is
        `DEFAULT_TOLERANCE`, or `HALF_TOLERANCE` for a network that uses float16.
    constants : mapping
        Constants that the model only names (`export.external_data`).

    Raises
    ------
    ParityError
        If the bound is broken, an output is not (n, ...) or not finite, or onnxruntime refuses the model. The message
        names the row and, if the reference has values of nodes, the first node that differs.
    MalformedModelError
        If the model's input or outputs do not match the reference.
    ConfigError
        If the tolerance is not a positive number.
    """
    check_tolerance(tolerance)
    tolerance = tolerance or default_tolerance(model)
    data, expected = _matched(model, reference)
    runner = open_model(model, constants)
    if runner.engine == "onnx":
        data, expected = data[:SLOW_IMAGES], {name: array[:SLOW_IMAGES] for name, array in expected.items()}
    sizes = tuple(sorted({1, min(2, len(data)), min(LARGEST_BATCH, len(data))}))
    errors, cosines = [], []
    for size in sizes:
        for name, actual in _run(runner.run, data, expected, size).items():
            if wrong := problem(actual, expected[name], tolerance):
                first = _first_difference(model, data, reference, tolerance, constants)
                raise ParityError(f"output {name!r} {wrong}. {first}")
            errors.append(abs_errors(actual, expected[name]).ravel())
            cosines.append(min_cosine(actual, expected[name]))
    all_errors = np.concatenate(errors)
    return Parity(
        max_abs_error=float(all_errors.max()),
        mean_abs_error=float(all_errors.mean()),
        min_cosine=min(cosines),
        batch_sizes=sizes,
        engine=runner.engine,
    )


def verify_alone(model: onnx.ModelProto, tolerance: float | None = None, constants: Constants = NO_CONSTANTS) -> None:
    """Verify without MXNet that a model runs on random images, and computes each image independently of the others.

    Raises
    ------
    ParityError
        If onnxruntime refuses the model, or an image's output depends on the others.
    """
    run = open_model(model, constants).run
    kind = model.graph.input[0].type.tensor_type
    row = tuple(dim.dim_value for dim in kind.shape.dim)[1:]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, *row), dtype) if dtype == np.uint8 else rng.normal(size=(3, *row)).astype(dtype)
    names = [info.name for info in model.graph.output]
    together = run(names, images)
    for index in range(len(images)):
        alone = run(names, images[index : index + 1])
        for name, beside, other in zip(names, together, alone, strict=True):
            if wrong := problem(
                beside[index : index + 1], other, tolerance or default_tolerance(model), "the same alone"
            ):
                raise ParityError(f"output {name!r} of an image beside others {wrong}: it depends on them.")


def check_tolerance(tolerance: float | None) -> None:
    """Raise `ConfigError` unless the tolerance is None or a positive number."""
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance > 0):
        raise ConfigError(f"tolerance {tolerance} is not a positive number.")


def default_tolerance(model: onnx.ModelProto) -> float:
    """Return `HALF_TOLERANCE` if anything in the model is float16, `DEFAULT_TOLERANCE` otherwise."""
    kinds = {initializer.data_type for initializer in model.graph.initializer}
    kinds |= {info.type.tensor_type.elem_type for info in (*model.graph.input, *model.graph.output)}
    return HALF_TOLERANCE if HALF in kinds else DEFAULT_TOLERANCE


def verify_preprocessing(
    model: onnx.ModelProto,
    core: onnx.ModelProto,
    added: GraphPreprocessing,
    tolerance: float,
    constants: Constants = NO_CONSTANTS,
) -> None:
    """Compare a model that has preprocessing with its network alone, on random pixels of one image and of several.

    Parameters
    ----------
    model : ModelProto
        The network with preprocessing.
    core : ModelProto
        The network without it: input float32 (N, 3, H, W), one output (N, D).
    added : GraphPreprocessing
        The preprocessing in ``model``.
    tolerance : float
        As for `verify`.
    constants : mapping
        Constants that the two models only name.

    Raises
    ------
    ParityError
        If they differ by more than the tolerance, times the largest value of the network's output.
    """
    whole, inner = open_model(model, constants).run, open_model(core, constants).run
    names = [info.name for info in core.graph.output]
    crop = added.preprocessing.crop
    pixels = np.random.default_rng(0).integers(0, 256, (3, crop, crop, 3), np.uint8)
    for batch in (pixels[:1], pixels):
        data = normalize(batch, added.preprocessing)
        (expected,) = inner(names, data)
        if added.flatten:
            expected = expected.reshape(len(expected), -1)
        (actual,) = whole(names, batch if added.pixels else data)
        if added.normalize:
            expected = _unit(expected)
        if wrong := problem(actual, expected, tolerance):
            raise ParityError(f"with preprocessing in the file, its output {wrong}.")


def _matched(model: onnx.ModelProto, reference: Reference) -> tuple[NDArray[Any], dict[str, Array]]:
    """Return the reference's images as the model takes them, and its outputs under the model's names."""
    inputs, outputs = ([info.name for info in part] for part in (model.graph.input, model.graph.output))
    expected = reference.outputs
    if len(outputs) == len(expected) == 1:
        expected = dict(zip(outputs, expected.values(), strict=True))  # a single output may have another name
    if len(inputs) != 1 or set(outputs) != set(expected):
        raise MalformedModelError(
            f"the model has inputs {inputs} and outputs {outputs}; "
            f"expected one input and the outputs {list(reference.outputs)} of the reference."
        )
    card, kind = _card(model), model.graph.input[0].type.tensor_type
    if kind.elem_type == PIXEL and card is not None:
        data = _pixels(reference.data, card.preprocessing)
    elif kind.elem_type in (SINGLE, HALF):
        data = reference.data.astype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type), copy=False)
    else:
        raise MalformedModelError(f"the model takes {onnx.TensorProto.DataType.Name(kind.elem_type)}; expected FLOAT.")
    shape = tuple(dim.dim_value for dim in kind.shape.dim)
    if shape[1:] != data.shape[1:]:
        raise MalformedModelError(f"the model takes images {shape[1:]}, the reference has {data.shape[1:]}.")
    unit = card is not None and card.normalized
    return data, {name: _unit(array) if unit else array for name, array in expected.items()}


def _card(model: onnx.ModelProto) -> ModelCard | None:
    texts = {prop.key: prop.value for prop in model.metadata_props}
    return ModelCard.from_json(texts[CARD_KEY], "the model") if CARD_KEY in texts else None


def _pixels(data: Array, preprocessing: Preprocessing) -> NDArray[Any]:
    """Return uint8 (n, H, W, 3) RGB, the pixels that the reference's images were computed from."""
    pixels = denormalize(data, preprocessing)
    if np.abs(normalize(pixels, preprocessing) - data).max() > PIXEL_TOLERANCE:
        raise MalformedModelError(
            "the model takes pixels, but the reference's images are not pixels normalized as the model's card says."
        )
    return pixels


def _unit(rows: Array) -> Array:
    unit: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), LEAST_NORM)
    return unit


def _run(run: Run, data: NDArray[Any], expected: dict[str, Array], batch_size: int) -> dict[str, Array]:
    """Run all images, ``batch_size`` at a time. Raise `ParityError` if an output is not floating point or (n, ...)."""
    names = list(expected)
    batches: list[list[NDArray[Any]]] = []
    for start in range(0, len(data), batch_size):
        batch = np.ascontiguousarray(data[start : start + batch_size])
        batches.append(run(names, batch))
        for name, part in zip(names, batches[-1], strict=True):
            shape = (len(batch), *expected[name].shape[1:])
            if part.dtype not in (np.float32, np.float16) or part.shape != shape:
                raise ParityError(f"output {name!r} is {part.dtype} {part.shape}; expected float32 {shape}.")
    parts = zip(*batches, strict=True)
    return {name: np.concatenate(batch).astype(np.float32) for name, batch in zip(names, parts, strict=True)}


def _first_difference(
    model: onnx.ModelProto, data: NDArray[Any], reference: Reference, tolerance: float, constants: Constants
) -> str:
    """Write a sentence on the first node, in the model's order, that differs from MXNet for the first image."""
    ops = {output: node.op_type for node in model.graph.node for output in node.output}
    names = [name for name in ops if name in reference.nodes and name not in reference.outputs]
    if not names:
        return "The reference has no outputs of nodes that would locate the error."
    traced = onnx.ModelProto()
    traced.CopyFrom(model)
    traced.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    values = open_model(traced, constants).run(names, np.ascontiguousarray(data[:1]))
    for name, value in zip(names, values, strict=True):
        expected = reference.nodes[name]
        if value.shape != expected.shape or problem(value, expected, tolerance):
            return f"First node to differ: {name!r} ({ops[name]})."
    return f"None of the {len(names)} recorded nodes differs for the first image."
