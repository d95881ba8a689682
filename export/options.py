"""Options of an export, and the report on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from export.choices import CalibrationMethod, Precision
from export.graph.model import DEFAULT_OPSET, check_opset
from export.verify import check_tolerance
from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from export.parity import Parity


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of an export.

    Parameters
    ----------
    opset : int
        Version of ONNX's operator set, from 13.
    tolerance : float, optional
        See `export.verify.verify`.
    plain_operators : bool
        Keep ONNX's LRN and PRelu instead of the forms that CPUs compute up to 7 times as fast.
    keep_batch_norm : bool
        Keep batch norm and the trained weights instead of folding it into adjacent layers, for further training.
    precision : Precision
        ``"fp32"`` keeps the network's precision; ``"fp16"`` computes in float16 where that is safe; ``"int8"``
        quantizes and needs ``calibration``.
    calibration : path-like, optional
        Folder of images like the ones that the model will see (`export.quantization.calibration`).
    calibration_method : CalibrationMethod
        How to measure the ranges of activations; see `export.quantization.ranges.activation_ranges`.

    Raises
    ------
    ConfigError
        If the opset is not available, the tolerance is not a positive number, a name is unknown, or images for int8 are
        missing.
    """

    opset: int = DEFAULT_OPSET
    tolerance: float | None = None
    plain_operators: bool = False
    keep_batch_norm: bool = False
    precision: Precision = "fp32"
    calibration: str | os.PathLike[str] | None = None
    calibration_method: CalibrationMethod = "minmax"

    def __post_init__(self) -> None:
        check_opset(self.opset)
        check_tolerance(self.tolerance)
        if self.precision not in get_args(Precision):
            raise ConfigError(
                f"precision {self.precision!r} is unknown. Choose one of {', '.join(get_args(Precision))}."
            )
        if self.calibration_method not in get_args(CalibrationMethod):
            known = ", ".join(get_args(CalibrationMethod))
            raise ConfigError(f"calibration method {self.calibration_method!r} is unknown. Choose one of {known}.")
        if (self.precision == "int8") != (self.calibration is not None):
            raise ConfigError(
                "int8 needs a folder of images to calibrate it. Give one with --calibration."
                if self.calibration is None
                else f"only int8 is calibrated, not {self.precision}. Leave out --calibration, or use --precision int8."
            )


@dataclass(frozen=True)
class ExportReport:
    """Facts about the file that was written.

    Parameters
    ----------
    path : Path
        The ONNX file.
    opset : int
        Version of its operator set.
    num_nodes : int
        Number of ONNX nodes.
    num_parameters : int
        Number of parameters that the network uses, including batch norm's statistics.
    size_bytes : int
        Size of the file.
    parity : Parity or None
        Distance to MXNet; None without a reference.
    fixed_batch : str or None
        The batch size of a network that works for one size only, and why; None if the size is free.
    seconds : float
        Wall time to translate, verify and write.
    """

    path: Path
    opset: int
    num_nodes: int
    num_parameters: int
    size_bytes: int
    parity: Parity | None
    fixed_batch: str | None
    seconds: float
