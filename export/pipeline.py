"""Run folder -> verified ONNX file."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.errors import MalformedModelError, ParityError
from export.model import DEFAULT_OPSET, build_model, check_opset
from export.run_folder import CARD, EMBEDDING, SYMBOL, RunFolder, read_run
from export.translate import translate
from export.verify import DEFAULT_TOLERANCE, Parity, verify
from gluon_lifted.card import CARD_KEY
from gluon_lifted.errors import ConfigError
from gluon_lifted.files import replaced_file

if TYPE_CHECKING:
    from pathlib import Path


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
    parity : Parity
    seconds : float
        Wall time.
    """

    path: Path
    opset: int
    num_nodes: int
    num_parameters: int
    size_bytes: int
    parity: Parity
    seconds: float


def export_run(
    run: Path, onnx_path: Path, *, opset: int = DEFAULT_OPSET, tolerance: float = DEFAULT_TOLERANCE
) -> ExportReport:
    """Translate a run to ONNX, verify it against MXNet's own output, and write it.

    Parameters
    ----------
    run : Path
        Run folder.
    onnx_path : Path
        Replaced if it exists, untouched on any failure. Missing parent folders are made.
    opset : int
        Version of ONNX's operators, from 13.
    tolerance : float
        See `export.verify.verify`.

    Raises
    ------
    RunError, MalformedModelError
        If the run folder is incomplete or damaged.
    UnsupportedOpError, UnsupportedAttributeError
        If the network uses what has no translation.
    ParityError
        If the model does not compute what MXNet computed.
    ConfigError
        If the opset, the tolerance or the path cannot work.
    """
    started = time.perf_counter()
    _check_options(onnx_path, opset, tolerance)
    files = read_run(run)
    crop = files.card.preprocessing.crop
    graph = translate(files.symbol, files.params, (3, crop, crop), str(run / SYMBOL), outputs=(EMBEDDING,))
    if graph.rows[EMBEDDING] != (files.card.dim,):
        raise MalformedModelError(
            f"{run / SYMBOL}: the output for an image is {graph.rows[EMBEDDING]}; {CARD} says ({files.card.dim},)."
        )
    content = build_model(graph, opset, _metadata(files)).SerializeToString(deterministic=True)
    try:
        parity = verify(content, files.reference, tolerance)
    except ParityError as error:
        raise ParityError(f"{error} Model not written.") from None
    _write(onnx_path, content)
    used = {node.name for node in files.symbol.nodes if node.is_variable}
    return ExportReport(
        path=onnx_path,
        opset=opset,
        num_nodes=len(graph.nodes),
        num_parameters=sum(array.size for name, array in files.params.items() if name in used),
        size_bytes=len(content),
        parity=parity,
        seconds=time.perf_counter() - started,
    )


def _check_options(onnx_path: Path, opset: int, tolerance: float) -> None:
    check_opset(opset)
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise ConfigError(f"tolerance {tolerance} is not a positive number.")
    try:
        is_folder = onnx_path.is_dir()
    except OSError as error:
        raise ConfigError(f"{onnx_path}: cannot be written ({error.strerror}).") from None
    if is_folder:
        raise ConfigError(f"{onnx_path} is a folder; expected the name of the ONNX file to write.")


def _metadata(files: RunFolder) -> dict[str, str]:
    return {
        CARD_KEY: files.card.to_json(),
        "lifted.symbol_sha256": files.symbol_sha256,
        "lifted.params_sha256": files.params_sha256,
    }


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}).") from None
