"""Run a network on a few images to learn whether it embeds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.errors import MalformedModelError
from export.runner import open_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from numpy.typing import NDArray

    from export.libraries import onnx

Network: TypeAlias = "Callable[[NDArray[Any]], NDArray[Any]]"

NUM_IMAGES = 3
LEAST_DIFFERENCE = 1e-5  # between two images' rows, as a share of the largest value
UNIT_TOLERANCE = 1e-3  # of a length, which float16 rounds by up to 5e-4


def probe_pixels(crop: int) -> NDArray[np.uint8]:
    """Return images that differ in color, contrast and texture, (NUM_IMAGES, crop, crop, 3) RGB."""
    noise = np.random.default_rng(0).integers(0, 256, (crop, crop, 3), np.uint8)
    ramp = np.linspace(0, 255, crop)[:, None, None] * [1, 0.5, 0] + np.zeros((1, crop, 1))
    square = np.full((crop, crop, 3), 30, np.uint8)
    square[crop // 4 : -(-3 * crop // 4), crop // 3 :] = (40, 120, 250)
    return np.stack([noise, ramp.astype(np.uint8), square])


def open_network(model: onnx.ModelProto, where: str) -> Network:
    """Load a network with one input and one output. Raises `MalformedModelError` if onnxruntime refuses it."""
    try:
        run = open_session(model)
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise MalformedModelError(f"{where}: onnxruntime cannot load it ({_reason(error)}).") from None
    images, output = model.graph.input[0].name, model.graph.output[0].name

    def network(data: NDArray[Any]) -> NDArray[Any]:
        try:
            (rows,) = run([output], {images: np.ascontiguousarray(data)})
        except Exception as error:  # the same exceptions as on loading
            raise MalformedModelError(
                f"{where}: onnxruntime cannot run it on a batch of {len(data)} ({_reason(error)})."
            ) from None
        return np.asarray(rows)

    return network


def rows_one_by_one(network: Network, data: NDArray[Any], where: str) -> NDArray[Any]:
    """Run a network on one image at a time.

    Returns
    -------
    ndarray, float32 or float16, (N, ...)
        A row per image.

    Raises
    ------
    MalformedModelError
        If the network cannot be run, or its output is not a finite row per image that depends on the image.
    """
    outputs = [network(data[index : index + 1]) for index in range(len(data))]
    if any(output.dtype not in (np.float32, np.float16) or output.shape[:1] != (1,) for output in outputs):
        raise MalformedModelError(
            f"{where}: its output for an image is {outputs[0].dtype} {outputs[0].shape}; expected float32 (1, D). "
            "Choose another output with --output."
        )
    rows = np.concatenate(outputs)
    problem = ""
    if not np.isfinite(rows).all():
        problem = "its output contains NaN or infinity"
    elif np.ptp(rows.astype(np.float32), axis=0).max(initial=0) <= LEAST_DIFFERENCE * np.abs(rows).max(initial=0):
        problem = "it returns the same embedding for different images"
    if problem:
        raise MalformedModelError(
            f"{where}: {problem}. Correct the preprocessing (--mean, --std, --scale), or choose another output with "
            "--output."
        )
    return rows


def batch_problem(network: Network, data: NDArray[Any], expected: NDArray[Any], tolerance: float) -> str:
    """Compare the rows for batches of one image, two images and so on with the expected ones.

    Parameters
    ----------
    expected : ndarray, (N, D)
        The expected rows for ``data``.
    tolerance : float
        Share of the largest value by which they may differ.

    Returns
    -------
    str
        The problem; empty if there is none.
    """
    allowed = tolerance * float(np.abs(expected).max())
    for size in range(1, len(data) + 1):
        try:
            rows = network(data[:size])
        except MalformedModelError as error:
            return str(error)
        if rows.shape != expected[:size].shape:
            return f"its output for {size} images is {rows.shape}; expected {expected[:size].shape}"
        if not np.abs(rows - expected[:size]).max() <= allowed:  # NaN counts as a difference
            return f"its embeddings of a batch of {size} differ from those of single images"
    return ""


def have_unit_length(rows: NDArray[Any]) -> bool:
    """Whether rows, (N, D), have unit Euclidean length."""
    return bool(np.abs(np.linalg.norm(rows.astype(np.float64), axis=1) - 1).max() <= UNIT_TOLERANCE)


def _reason(error: Exception) -> str:
    return f"...{' '.join(str(error).split())[-160:]}"
