"""Options of an export, and the report on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.graph.model import DEFAULT_OPSET, check_opset
from export.quantization.ranges import METHODS
from export.verify import check_tolerance
from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from export.parity import Parity

PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class ExportOptions:
    """How to write and verify a model.

    Parameters
    ----------
    opset : int
        Version of ONNX's operator set, from 13.
    tolerance : float, optional
        See `export.verify.verify`.
    exact_lrn : bool
        Keep ONNX's LRN operator instead of the form that runtimes compute 3 to 7 times as fast.
    precision : str
        ``"fp32"`` keeps the network's precision; ``"fp16"`` computes in float16 where that is safe; ``"int8"``
        quantizes and needs ``calibration``.
    calibration : path-like, optional
        Folder of images like the ones that the model will see (`export.quantization.calibration`).
    calibration_method : str
        One of `export.quantization.ranges.METHODS`.

    Raises
    ------
    ConfigError
        If the opset is not available, the tolerance is not a positive number, a name is unknown, or images for int8 are
        missing.
    """

    opset: int = DEFAULT_OPSET
    tolerance: float | None = None
    exact_lrn: bool = False
    precision: str = "fp32"
    calibration: str | os.PathLike[str] | None = None
    calibration_method: str = "minmax"

    def __post_init__(self) -> None:
        check_opset(self.opset)
        check_tolerance(self.tolerance)
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision {self.precision!r} is unknown; use {', '.join(PRECISIONS)}.")
        if self.calibration_method not in METHODS:
            raise ConfigError(f"calibration method {self.calibration_method!r} is unknown; use {', '.join(METHODS)}.")
        if (self.precision == "int8") != (self.calibration is not None):
            raise ConfigError("int8 needs a folder of calibration images; other precisions take none.")


@dataclass(frozen=True)
class ExportReport:
    """What was written.

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
    seconds : float
        Wall time to translate, verify and write.
    """

    path: Path
    opset: int
    num_nodes: int
    num_parameters: int
    size_bytes: int
    parity: Parity | None
    seconds: float
