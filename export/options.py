"""How to export, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from export.choices import CalibrationMethod, Precision
from export.graph.model import DEFAULT_OPSET, check_opset
from export.verify import check_tolerance
from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from export.parity import Parity


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How to write and verify a model.

    Parameters
    ----------
    opset : int
        Version of ONNX's operators, from 13.
    tolerance : float, optional
        See `export.verify.verify`.
    exact_lrn : bool
        Keep ONNX's own LRN operator, instead of the form that runtimes compute 3 to 7 times as fast.
    precision : Precision
        ``"fp32"``, as the network is; ``"fp16"``, half where that is safe; ``"int8"``, with ``calibration``.
    calibration : Path, optional
        Folder of images like those that the model is for (`export.quantization.calibration`).
    calibration_method : CalibrationMethod
        How the ranges of activations are found; see `export.quantization.ranges.activation_ranges`.

    Raises
    ------
    ConfigError
        If the opset is not available, the tolerance no positive number, a name unknown, or int8 without images.
    """

    opset: int = DEFAULT_OPSET
    tolerance: float | None = None
    exact_lrn: bool = False
    precision: Precision = "fp32"
    calibration: Path | None = None
    calibration_method: CalibrationMethod = "minmax"

    def __post_init__(self) -> None:
        check_opset(self.opset)
        check_tolerance(self.tolerance)
        if self.precision not in get_args(Precision):
            raise ConfigError(f"precision {self.precision!r} is unknown; use {', '.join(get_args(Precision))}.")
        if self.calibration_method not in get_args(CalibrationMethod):
            known = ", ".join(get_args(CalibrationMethod))
            raise ConfigError(f"calibration method {self.calibration_method!r} is unknown; use {known}.")
        if (self.precision == "int8") != (self.calibration is not None):
            raise ConfigError("int8 needs a folder of images to calibrate with, and other precisions take none.")


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Parameters
    ----------
    path : Path
    opset : int
    num_nodes : int
        ONNX nodes.
    num_parameters : int
        Numbers in the run's parameter file that the network uses, batch norm's statistics among them.
    size_bytes : int
    parity : Parity or None
        None if there was no reference to verify it with.
    seconds : float
        Wall time of translating, verifying and writing.
    """

    path: Path
    opset: int
    num_nodes: int
    num_parameters: int
    size_bytes: int
    parity: Parity | None
    seconds: float
