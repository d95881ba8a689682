"""Prove that an ONNX model computes what MXNet computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.errors import MalformedModelError, ParityError
from export.libraries import DecodeError, onnx, onnxruntime
from export.passes.interface import LEAST_NORM
from gluon_lifted.images import normalise

if TYPE_CHECKING:
    from export.passes.interface import Surroundings
    from export.reference import Array, Reference

LARGEST_BATCH = 64  # keeps memory bounded however many rows the reference has
DEFAULT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Parity:
    """How far ONNX is from MXNet, over every row at every batch size.

    Parameters
    ----------
    max_abs_error, mean_abs_error : float
        Of single values of the outputs.
    min_cosine : float
        The smallest cosine between a row and its reference; 1 is the same direction.
    batch_sizes : tuple of int
        How many rows were computed at a time.
    """

    max_abs_error: float
    mean_abs_error: float
    min_cosine: float
    batch_sizes: tuple[int, ...]


def verify(model: bytes | onnx.ModelProto, reference: Reference, tolerance: float = DEFAULT_TOLERANCE) -> Parity:
    """Run a model on the CPU with onnxruntime and compare its outputs with MXNet's.

    Parameters
    ----------
    model : bytes or ModelProto
        One input, and the reference's outputs.
    reference : Reference
    tolerance : float
        Bound on ``|onnx - mxnet|`` of any value, times the largest ``|mxnet|`` if that is above 1.

    Raises
    ------
    ParityError
        If the bound is broken, an output is not float32 (n, ...) or not finite, or onnxruntime refuses the model. It
        names the row, and the first node whose value differs, if the reference has values of nodes.
    MalformedModelError
        If the model is no ONNX model, or its input or output is not what the reference has.
    """
    proto = _parse(model)
    _check_interface(proto, reference)
    sizes = tuple(sorted({1, min(2, len(reference.data)), min(LARGEST_BATCH, len(reference.data))}))
    session = _session(proto)
    distances, cosines = [], []
    for size in sizes:
        for name, found in _run(session, reference, size).items():
            expected = reference.outputs[name]
            distances.append(_distances(found, expected).ravel())
            cosines.append(_min_cosine(found, expected))
            problem = _problem(_distances(found, expected), tolerance * _scale(expected))
            if problem:
                raise ParityError(f"output {name!r} {problem}. {_first_difference(proto, reference, tolerance)}")
    return Parity(
        float(max(one.max() for one in distances)),
        float(np.mean(np.concatenate(distances))),
        min(cosines),
        sizes,
    )


def verify_surroundings(model: bytes, core: bytes, around: Surroundings, tolerance: float = DEFAULT_TOLERANCE) -> None:
    """Compare a model with the network inside it, for random pixels of one image and of several.

    Parameters
    ----------
    model : bytes
        The network with what is ``around`` it.
    core : bytes
        The network alone: input float32 (N, 3, H, W), one output (N, D).

    Raises
    ------
    ParityError
        If they differ by more than the tolerance, times the largest value of the network's output.
    """
    whole, inner = _session(_parse(model)), _session(_parse(core))
    crop = around.preprocessing.crop
    pixels = np.random.default_rng(0).integers(0, 256, (3, crop, crop, 3), np.uint8)
    for batch in (pixels[:1], pixels):
        data = normalise(batch, around.preprocessing)
        (expected,) = inner.run(None, {inner.get_inputs()[0].name: data})
        (found,) = whole.run(None, {whole.get_inputs()[0].name: batch if around.pixels else data})
        if around.normalize:
            expected = expected / np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), LEAST_NORM)
        problem = _problem(_distances(found, expected), tolerance * _scale(expected))
        if problem:
            raise ParityError(f"with what stands around the network, its output {problem}.")


def _parse(model: bytes | onnx.ModelProto) -> onnx.ModelProto:
    if isinstance(model, onnx.ModelProto):
        return model
    try:
        return onnx.load_model_from_string(model)
    except DecodeError:
        raise MalformedModelError("this is not an ONNX model; export the network again.") from None


def _check_interface(model: onnx.ModelProto, reference: Reference) -> None:
    inputs, outputs = ([one.name for one in part] for part in (model.graph.input, model.graph.output))
    if len(inputs) != 1 or set(outputs) != set(reference.outputs):
        raise MalformedModelError(
            f"the model has inputs {inputs} and outputs {outputs}; "
            f"expected one input and the outputs {list(reference.outputs)} of the reference."
        )
    shape = tuple(dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)
    if shape[1:] != reference.data.shape[1:]:
        raise MalformedModelError(f"the model takes images {shape[1:]}, the reference has {reference.data.shape[1:]}.")


def _session(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base class
        opset, reason = model.opset_import[0].version, " ".join(str(error).split())
        raise ParityError(
            f"onnxruntime {onnxruntime.__version__} cannot load the model (opset {opset}): ...{reason[-160:]} "
            "An older opset may help."
        ) from None


def _run(session: Any, reference: Reference, batch_size: int) -> dict[str, Array]:
    """The outputs for all images, ``batch_size`` at a time. Raises `ParityError` if one is not float32 (n, ...)."""
    names = list(reference.outputs)
    batches: list[list[Array]] = []
    for start in range(0, len(reference.data), batch_size):
        batch = np.ascontiguousarray(reference.data[start : start + batch_size])
        batches.append(session.run(names, {session.get_inputs()[0].name: batch}))
        for name, part in zip(names, batches[-1], strict=True):
            expected = (len(batch), *reference.outputs[name].shape[1:])
            if part.dtype != np.float32 or part.shape != expected:
                raise ParityError(f"output {name!r} is {part.dtype} {part.shape}; expected float32 {expected}.")
    return {name: np.concatenate(parts) for name, parts in zip(names, zip(*batches, strict=True), strict=True)}


def _distances(found: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.float64]:
    """Absolute differences, NaN and infinity as infinite, unless both sides have the same."""
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):  # inf - inf
        difference = np.abs(found.astype(np.float64) - expected)
    return np.where(same, 0, np.where(np.isfinite(difference), difference, np.inf))


def _scale(expected: NDArray[Any]) -> float:
    """What the tolerance is multiplied with: the largest finite value, at least 1."""
    finite = np.abs(expected[np.isfinite(expected)])
    return max(1.0, float(finite.max(initial=0)))


def _problem(distances: NDArray[np.float64], allowed: float) -> str:
    """What is wrong with an output, as the middle of a sentence; empty if nothing is."""
    worst = float(distances.max())
    row = int(distances.reshape(len(distances), -1).max(axis=1).argmax())
    if worst <= allowed:
        return ""
    if worst == np.inf:
        return f"is not finite (row {row})"
    return f"differs from MXNet: max |d| {worst:.1e} > {allowed:.1e} (row {row})"


def _min_cosine(found: Array, expected: Array) -> float:
    """A row of zeros has the cosine 1 with another such row, 0 with any other."""
    a, b = (one.reshape(len(one), -1).astype(np.float64) for one in (found, expected))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    zeros = (np.abs(a).max(axis=1) == 0) & (np.abs(b).max(axis=1) == 0)
    cosines = np.where(zeros, 1, (a * b).sum(axis=1) / np.where(norms > 0, norms, 1))
    return float(np.clip(cosines, -1, 1).min())


def _first_difference(model: onnx.ModelProto, reference: Reference, tolerance: float) -> str:
    """A sentence on the first node, in the model's order, that differs from MXNet for the first image."""
    ops = {output: node.op_type for node in model.graph.node for output in node.output}
    names = [name for name in ops if name in reference.nodes and name not in reference.outputs]
    if not names:
        return "The reference has no values of nodes that would tell where."
    traced = onnx.ModelProto()
    traced.CopyFrom(model)
    traced.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    images = {model.graph.input[0].name: np.ascontiguousarray(reference.data[:1])}
    values = _session(traced).run(names, images)
    for name, value in zip(names, values, strict=True):
        expected = reference.nodes[name]
        if value.shape != expected.shape or _distances(value, expected).max() > tolerance * _scale(expected):
            return f"First node to differ: {name!r} ({ops[name]})."
    return f"None of the {len(names)} recorded nodes differs for the first image."
