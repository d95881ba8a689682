"""Compare outputs of ONNX and MXNet, including NaN and infinity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Parity:
    """Distance between ONNX and MXNet over all rows and batch sizes.

    Parameters
    ----------
    max_abs_error, mean_abs_error : float
        Over the single values of the outputs.
    largest : float
        The largest absolute value that MXNet computed. Tolerances are relative to it if it is above 1.
    min_cosine : float
        Smallest cosine between a row and its reference; 1 is the same direction.
    batch_sizes : tuple of int
        How many rows were computed at a time.
    engine : str
        What ran the model: ``"onnxruntime"``, or ``"onnx"``, ONNX's own evaluator, for opsets that onnxruntime does not
        know.
    """

    max_abs_error: float
    mean_abs_error: float
    largest: float
    min_cosine: float
    batch_sizes: tuple[int, ...]
    engine: str = "onnxruntime"


def abs_errors(actual: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.float64]:
    """Return absolute differences. NaN and infinity count as infinite unless both sides agree."""
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    with np.errstate(invalid="ignore"):  # inf - inf
        difference = np.abs(actual.astype(np.float64) - expected)
    return np.where(same, 0, np.where(np.isfinite(difference), difference, np.inf))


def scale(expected: NDArray[Any]) -> float:
    """Return the factor of a tolerance: the largest finite value, at least 1."""
    finite = np.abs(expected[np.isfinite(expected)])
    return max(1.0, float(finite.max(initial=0)))


def problem(actual: NDArray[Any], expected: NDArray[Any], tolerance: float, other: str = "MXNet") -> str:
    """Return what is wrong with an output, as the middle of a sentence; empty if nothing is."""
    errors, allowed = abs_errors(actual, expected), tolerance * scale(expected)
    worst = float(errors.max())
    row = int(errors.reshape(len(errors), -1).max(axis=1).argmax())
    if worst <= allowed:
        return ""
    if worst == np.inf:
        return f"contains NaN or infinity (row {row})"
    return f"differs from {other} by up to {worst:.1e}, more than the tolerance {allowed:.1e} (row {row})"


def min_cosine(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the smallest cosine between rows. A row of zeros has cosine 1 with a row of zeros, 0 with any other."""
    a, b = (array.reshape(len(array), -1).astype(np.float64) for array in (actual, expected))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    zeros = (np.abs(a).max(axis=1) == 0) & (np.abs(b).max(axis=1) == 0)
    cosines = np.where(zeros, 1, (a * b).sum(axis=1) / np.where(norms > 0, norms, 1))
    return float(np.clip(cosines, -1, 1).min())
