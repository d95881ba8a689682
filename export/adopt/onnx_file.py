"""Read an ONNX file that any program exported, and find its image input and its embedding output."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export.adopt.external_data import read_external_data
from export.adopt.graph_edits import choose_output, texts
from export.errors import MalformedModelError
from export.libraries import onnx
from export.model_file import card_of, read_model
from gluon_lifted.contract import PIXEL_INPUT

if TYPE_CHECKING:
    import os

    from gluon_lifted.card import ModelCard

SINGLE, HALF, PIXEL = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.UINT8
LEAST_IR_VERSION = 4  # the first that does not require initializers to be inputs
MOST_NAMES = 20  # in a message


@dataclass(frozen=True)
class OnnxFile:
    """A network that takes images.

    Parameters
    ----------
    path : Path
        The file.
    model : ModelProto
        Has one input and one output; changed in place by `export.adopt.add_card`.
    kind : int
        Type of the images: float32, float16, or uint8 for a file that normalizes pixels itself.
    crop : int or None
        Height and width of the images; None if the file leaves them open.
    """

    path: Path
    model: onnx.ModelProto
    kind: int
    crop: int | None

    @property
    def takes_pixels(self) -> bool:
        """Whether the network normalizes images itself."""
        return self.kind == PIXEL

    def card(self) -> ModelCard | None:
        """Return the model card in the file, if any. Raises `RunError` if it is damaged."""
        return card_of(self.model, str(self.path))


def read_onnx(path: str | os.PathLike[str], output: str | None = None) -> OnnxFile:
    """Read an ONNX file.

    Parameters
    ----------
    path : path-like
        At most 2 GiB, including its external data.
    output : str, optional
        The output with the embeddings: one of the file's outputs, or any tensor inside. Needed if the file has several.

    Raises
    ------
    MalformedModelError
        If it is unreadable or too large, does not take images, or has no such output.
    """
    path = Path(path)
    model = read_model(path)
    graph = model.graph
    versions = [entry.version for entry in model.opset_import]
    if not versions or min(versions) < 1 or not all(isinstance(text, str) for text in texts(model)):
        raise MalformedModelError(f"{path}: a damaged ONNX model. Export the network again.")
    read_external_data(model, path)
    _leave_only_images(model, path)
    kind, crop = _images(graph.input[0], path)
    choose_output(graph, _output(graph, output, path))
    return OnnxFile(path, model, kind, crop)


def _leave_only_images(model: onnx.ModelProto, path: Path) -> None:
    """Remove initializers from the inputs, where old exporters list them too."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer} | {
        sparse.values.name for sparse in graph.sparse_initializer
    }
    inputs = [info for info in graph.input if info.name not in constants]
    if len(inputs) != 1:
        raise MalformedModelError(
            f"{path}: has {len(inputs)} inputs ({_listed([info.name for info in inputs])}); expected one, for images."
        )
    del graph.input[:]
    graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, LEAST_IR_VERSION)


def _images(info: onnx.ValueInfoProto, path: Path) -> tuple[int, int | None]:
    """Return the type of the images, and their side if it is fixed."""
    tensor = info.type.tensor_type
    kind = tensor.elem_type
    shape = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)  # None: open
    pixels = kind == PIXEL and info.name == PIXEL_INPUT
    described = f"{path}: its input {info.name!r:.100} is {_type_name(kind)} {_shape_text(shape)}"
    expected = "expected float32 or float16 (N, 3, H, W)"
    if len(shape) != 4 or not (pixels or kind in (SINGLE, HALF)):
        raise MalformedModelError(f"{described}; {expected}.")
    batch, *row = shape
    channels, height, width = row if not pixels else (row[2], *row[:2])
    if channels not in (3, None):
        hint = " Export it again with channels first." if row[2] == 3 else ""
        raise MalformedModelError(f"{described}; {expected}.{hint}")
    if height != width:
        raise MalformedModelError(f"{described}; expected square images. Export the network again for a square input.")
    if batch not in (1, None):
        raise MalformedModelError(
            f"{described}, which fixes the batch size at {batch}. Export it again with batch size 1, or a dynamic one."
        )
    return kind, height


def _output(graph: onnx.GraphProto, wanted: str | None, path: Path) -> str:
    outputs: list[str] = [info.name for info in graph.output]
    if wanted is None:
        if len(outputs) != 1:
            raise MalformedModelError(
                f"{path}: has {len(outputs)} outputs ({_listed(outputs)}). Choose one with --output."
            )
        return outputs[0]
    inner = [name for node in graph.node for name in node.output if name]
    if wanted not in outputs and wanted not in inner:
        similar = difflib.get_close_matches(wanted, [name for name in inner if len(name) < 200][-1000:], cutoff=0.5)
        hint = f" Similar names: {_listed(similar)}." if similar else ""
        raise MalformedModelError(f"{path}: has no tensor {wanted!r}. Its outputs are {_listed(outputs)}.{hint}")
    return wanted


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > MOST_NAMES else ""
    return ", ".join(f"{name:.100}" for name in names[:MOST_NAMES]) + more or "none"


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join(str(size or '?') for size in shape)})"


def _type_name(kind: int) -> str:
    known = kind in onnx.TensorProto.DataType.values()
    return onnx.TensorProto.DataType.Name(kind) if known else f"type {kind}"
