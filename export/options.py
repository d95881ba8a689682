"""How to export, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.graph.model import DEFAULT_OPSET, check_opset
from export.quantization.ranges import METHODS
from export.verify import check_tolerance
from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from export.parity import Parity

PRECISIONS = ("fp32", "fp16", "int8")


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
    precision : str
        ``"fp32"``, as the network is; ``"fp16"``, half where that is safe; ``"int8"``, with ``calibration``.
    calibration : Path, optional
        Folder of images like those that the model is for (`export.quantization.calibration`).
    calibration_method : str
        One of `export.quantization.ranges.METHODS`.

    Raises
    ------
    ConfigError
        If the opset is not available, the tolerance no positive number, a name unknown, or int8 without images.
    """

    opset: int = DEFAULT_OPSET
    tolerance: float | None = None
    exact_lrn: bool = False
    precision: str = "fp32"
    calibration: Path | None = None
    calibration_method: str = "minmax"

    def __post_init__(self) -> None:
        check_opset(self.opset)
        check_tolerance(self.tolerance)
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision {self.precision!r} is unknown; use {', '.join(PRECISIONS)}.")
        if self.calibration_method not in METHODS:
            raise ConfigError(f"calibration method {self.calibration_method!r} is unknown; use {', '.join(METHODS)}.")
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
