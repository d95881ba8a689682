"""How to export, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.model import DEFAULT_OPSET, check_opset
from export.verify import check_tolerance

if TYPE_CHECKING:
    from pathlib import Path

    from export.parity import Parity


@dataclass(frozen=True)
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

    Raises
    ------
    ConfigError
        If the opset is not available, or the tolerance no positive number.
    """

    opset: int = DEFAULT_OPSET
    tolerance: float | None = None
    exact_lrn: bool = False

    def __post_init__(self) -> None:
        check_opset(self.opset)
        check_tolerance(self.tolerance)


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
