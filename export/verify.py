"""Verify that an ONNX model computes what MXNet computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from export.batches import Arrays, batch_axes, count_rows, join_rows, rows_first, take_rows
from export.errors import MalformedModelError, ParityError
from export.external_data import NO_CONSTANTS, Constants
from export.libraries import onnx
from export.model_file import card_of
from export.parity import (
    Parity,
    abs_errors,
    min_cosine,
    problem,
)
from export.passes.preprocessing import LEAST_NORM
from export.runner import SLOW_IMAGES, open_model
from gluon_lifted.errors import ConfigError
from gluon_lifted.images import denormalize, normalize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export.passes.preprocessing import GraphPreprocessing
    from export.reader.reference import Array, Reference
    from export.runner import Run
    from gluon_lifted.card import ModelCard
    from gluon_lifted.images import Preprocessing

LARGEST_BATCH = 64  # bounds memory for any number of rows
DEFAULT_TOLERANCE, HALF_TOLERANCE = 1e-4, 1e-2
PIXEL_TOLERANCE = 1e-3  # in normalized values, where one step of a pixel is 1 / std, about 1 / 58
HALF, PIXEL = onnx.TensorProto.FLOAT16, onnx.TensorProto.UINT8
RANDOM_IMAGES = 3  # to compare images in a batch with the same images alone


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
        Has the inputs and outputs of the reference. A model that takes pixels gets the pixels from which the
        reference's images were computed. If its card says that embeddings are normalized, they are compared at unit
        length.
    reference : Reference
        Inputs, and MXNet's outputs for them.
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
    feeds, expected = _matched(model, reference)
    runner, axes = open_model(model, constants), batch_axes(model.graph.output)
    inputs = batch_axes(model.graph.input)
    count = count_rows(feeds, inputs)
    if count is None or None in axes.values():
        sizes: tuple[int, ...] = (count or 1,)  # outputs of the whole batch cannot be cut
    else:
        if runner.engine == "onnx":
            count = min(count, SLOW_IMAGES)
            feeds, expected = take_rows(feeds, inputs, 0, count), take_rows(expected, axes, 0, count)
        sizes = tuple(sorted({1, min(2, count), min(LARGEST_BATCH, count)}))
    errors, cosines = [], []
    for size in sizes:
        for name, output in _run(runner.run, model, feeds, expected, size).items():
            actual, wanted = rows_first(output, axes[name]), rows_first(expected[name], axes[name])
            if wrong := problem(actual, wanted, tolerance):
                first = _first_difference(model, feeds, reference, tolerance, constants)
                raise ParityError(f"output {name!r} {wrong}. {first}")
            errors.append(abs_errors(actual, wanted).ravel())
            cosines.append(min_cosine(actual, wanted))
    all_errors = np.concatenate(errors)
    return Parity(
        max_abs_error=float(all_errors.max()),
        mean_abs_error=float(all_errors.mean()),
        largest=max(float(np.abs(array).max()) for array in expected.values()),
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
    inputs, axes = batch_axes(model.graph.input), batch_axes(model.graph.output)
    feeds = {info.name: _random(info) for info in model.graph.input}
    names = [info.name for info in model.graph.output]
    together = dict(zip(names, run(names, feeds), strict=True))
    if not any(axis is not None for axis in inputs.values()):
        return
    for index in range(RANDOM_IMAGES):
        alone = run(names, take_rows(feeds, inputs, index, index + 1))
        beside = take_rows(together, axes, index, index + 1)
        for name, other in zip(names, alone, strict=True):
            if axes[name] is None:
                continue
            allowed = tolerance or default_tolerance(model)
            if wrong := problem(
                rows_first(beside[name], axes[name]), rows_first(other, axes[name]), allowed, "its output alone"
            ):
                raise ParityError(f"output {name!r} of an image in a batch {wrong}. It depends on the other images.")


def _random(info: onnx.ValueInfoProto) -> NDArray[Any]:
    """Make an input: pixels, real numbers, or ones, which are indices and lengths that any network accepts."""
    kind = info.type.tensor_type
    shape = [dim.dim_value or RANDOM_IMAGES for dim in kind.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    rng = np.random.default_rng(0)
    if dtype == np.uint8:
        return rng.integers(0, 256, shape, dtype)
    return rng.normal(size=shape).astype(dtype) if dtype.kind == "f" else np.ones(shape, dtype)


def check_tolerance(tolerance: float | None) -> None:
    """Raise `ConfigError` unless the tolerance is None or a positive number."""
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance > 0):
        raise ConfigError(f"tolerance is {tolerance}; expected a positive number.")


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
    """Compare a model with preprocessing to its network without, on random pixels of one image and of several.

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
        (expected,) = inner(names, {core.graph.input[0].name: data})
        if added.flatten:
            expected = expected.reshape(len(expected), -1)
        (actual,) = whole(names, {model.graph.input[0].name: batch if added.pixels else data})
        if added.normalize:
            expected = _unit(expected)
        if wrong := problem(actual, expected, tolerance):
            raise ParityError(f"with the preprocessing inside the model, its output {wrong}.")


def _matched(model: onnx.ModelProto, reference: Reference) -> tuple[Arrays, Arrays]:
    """Return the reference's inputs as the model takes them, and its outputs under the model's names."""
    inputs, outputs = ([info.name for info in part] for part in (model.graph.input, model.graph.output))
    arrays, expected = reference.inputs, reference.outputs
    if len(outputs) == len(expected) == 1:
        expected = dict(zip(outputs, expected.values(), strict=True))  # a single output may have another name
    if len(inputs) == len(arrays) == 1:
        arrays = dict(zip(inputs, arrays.values(), strict=True))
    if set(inputs) != set(arrays) or set(outputs) != set(expected):
        raise MalformedModelError(
            f"the model has inputs {inputs} and outputs {outputs}, but the reference has {list(reference.inputs)} and "
            f"{list(reference.outputs)}. Give the reference of this network."
        )
    card = card_of(model, "the model")
    feeds = {info.name: _as_taken(info, arrays[info.name], card) for info in model.graph.input}
    unit = card is not None and card.normalized
    return feeds, {name: _unit(array) if unit else array for name, array in expected.items()}


def _as_taken(info: onnx.ValueInfoProto, array: Array, card: ModelCard | None) -> Array:
    """Return an input in the model's type, as pixels if it takes pixels. Compare its shape with the model's."""
    kind = info.type.tensor_type
    if kind.elem_type == PIXEL and card is not None:
        array = _pixels(array, card.preprocessing)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    if dtype.kind != array.dtype.kind:
        raise MalformedModelError(
            f"the model's input {info.name!r} is {onnx.TensorProto.DataType.Name(kind.elem_type)}, but the reference "
            f"has {array.dtype}. Give the reference of this network."
        )
    declared = [dim.dim_value for dim in kind.shape.dim]
    if len(declared) != array.ndim or any(a not in (0, b) for a, b in zip(declared, array.shape, strict=True)):
        shape = ", ".join(str(size or "N") for size in declared)
        raise MalformedModelError(
            f"the model's input {info.name!r} is ({shape}), but the reference has {array.shape}. Give the reference of "
            "this network."
        )
    return array.astype(dtype, copy=False)


def _pixels(data: Array, preprocessing: Preprocessing) -> NDArray[Any]:
    """Return uint8 (n, H, W, 3) RGB, the pixels that the reference's images were computed from."""
    pixels = denormalize(data, preprocessing)
    if np.abs(normalize(pixels, preprocessing) - data).max() > PIXEL_TOLERANCE:
        raise MalformedModelError(
            "the model takes pixels, but the reference's images are not pixels normalized as its card says. Compare "
            "the model exported with --preprocess caller."
        )
    return pixels


def _unit(rows: Array) -> Array:
    unit: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), LEAST_NORM)
    return unit


def _run(run: Run, model: onnx.ModelProto, feeds: Arrays, expected: Arrays, batch_size: int) -> Arrays:
    """Run all images, ``batch_size`` at a time. Raise `ParityError` if an output has another type or shape."""
    names, inputs, axes = list(expected), batch_axes(model.graph.input), batch_axes(model.graph.output)
    parts: list[Arrays] = []
    for start in range(0, count_rows(feeds, inputs) or 1, batch_size):
        batch = take_rows(feeds, inputs, start, start + batch_size)
        parts.append(dict(zip(names, run(names, batch), strict=True)))
        for name, wanted in take_rows(expected, axes, start, start + batch_size).items():
            part = parts[-1][name]
            if part.dtype not in _expected_types(wanted) or part.shape != wanted.shape:
                expected_kind = f"{wanted.dtype} {wanted.shape}"
                raise ParityError(f"output {name!r} is {part.dtype} {part.shape}; expected {expected_kind}.")
    joined = join_rows(parts, axes)
    return {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in joined.items()}


def _expected_types(wanted: NDArray[Any]) -> tuple[np.dtype[Any], ...]:
    """Return the types that an output may have. Half precision is recorded as float32."""
    return (wanted.dtype, np.dtype(np.float16)) if wanted.dtype == np.float32 else (wanted.dtype,)


def _first_difference(
    model: onnx.ModelProto, feeds: Arrays, reference: Reference, tolerance: float, constants: Constants
) -> str:
    """Write a sentence on the first node, in the model's order, that differs from MXNet for the first image."""
    ops = {output: node.op_type for node in model.graph.node for output in node.output}
    names = [name for name in ops if name in reference.nodes and name not in reference.outputs]
    if not names:
        return "The reference has no outputs of inner nodes, so the node that causes it is unknown."
    traced = onnx.ModelProto()
    traced.CopyFrom(model)
    traced.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    values = open_model(traced, constants).run(names, take_rows(feeds, batch_axes(model.graph.input), 0, 1))
    for name, value in zip(names, values, strict=True):
        expected = reference.nodes[name]
        if value.shape != expected.shape or problem(value, expected, tolerance):
            return f"The first node that differs is {name!r} ({ops[name]})."
    return f"For the first image, none of the {len(names)} recorded nodes differs."
