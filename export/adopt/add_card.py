"""Add a model card to an ONNX file, so that it embeds images as an exported run does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.adopt.contract import meet_contract
from export.adopt.graph_edits import free_reshapes
from export.adopt.onnx_file import HALF
from export.adopt.probe import (
    batch_problem,
    have_unit_length,
    open_network,
    probe_pixels,
    rows_one_by_one,
)
from export.errors import MalformedModelError
from export.graph.model import MAX_MODEL_BYTES
from export.model_file import require_file_path, set_card, write_model
from export.passes.preprocessing import LEAST_NORM
from export.verify import default_tolerance
from gluon_lifted.errors import ConfigError
from gluon_lifted.images import normalize

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from export.adopt.onnx_file import OnnxFile
    from export.embedding_network import EmbeddingNetwork
    from export.libraries import onnx
    from gluon_lifted.card import ModelCard


def add_card(file: OnnxFile, out: str | os.PathLike[str], embedding: EmbeddingNetwork) -> ModelCard:
    """Add a model card to an ONNX network, give it the shared input and output, and write it.

    The network gets the input ``data``, float32 (N, 3, H, W), and the output ``embedding``, float32 (N, D), for any N.
    It is run before it is written: its embeddings must equal those of the file, for single images and in batches.

    Parameters
    ----------
    file : OnnxFile
        From `read_onnx`. Its model is changed.
    out : path-like
        Replaced if it exists, and may be the file itself. Left unchanged on any failure.
    embedding : EmbeddingNetwork
        Preprocessing and other fields of the card.

    Returns
    -------
    ModelCard
        ``dim`` and ``normalized`` are measured.

    Raises
    ------
    MalformedModelError
        If the file cannot embed images: onnxruntime refuses it, or its output is not a row per image.
    ConfigError
        If the preprocessing or the card does not fit the network, or the file cannot be written.
    """
    out = Path(out)
    require_file_path(out)
    _check_preprocessing(file, embedding)
    where, model = str(file.path), file.model
    pixels = probe_pixels(embedding.preprocessing.crop)
    data: NDArray[Any] = pixels if file.takes_pixels else normalize(pixels, embedding.preprocessing)
    rows = rows_one_by_one(open_network(model, where), data.astype(np.float16) if file.kind == HALF else data, where)
    flat = rows.reshape(len(rows), -1).astype(np.float32)
    unit_length, tolerance = have_unit_length(flat), default_tolerance(model)
    source = {} if embedding.described else {"onnx": file.path.name}
    card = embedding.card(rows.shape[1:], where, unit_length=unit_length, provenance=source | _precision(model))
    added_norm = embedding.normalize and not unit_length
    if added_norm:
        flat = flat / np.maximum(np.linalg.norm(flat.astype(np.float64), axis=1, keepdims=True), LEAST_NORM)
    meet_contract(file, embedding.preprocessing.crop, rows, normalize=added_norm)
    _require_batches(model, data, flat, tolerance, where)
    set_card(model, card)
    if model.ByteSize() > MAX_MODEL_BYTES:
        raise MalformedModelError(
            f"{where}: with a card, the file would exceed {MAX_MODEL_BYTES:,} bytes, the limit of ONNX. Convert the "
            "network to float16 first."
        )
    write_model(out, model)
    return card


def _check_preprocessing(file: OnnxFile, embedding: EmbeddingNetwork) -> None:
    crop, old = embedding.preprocessing.crop, file.card() if file.takes_pixels else None
    if file.crop not in (crop, None):
        raise ConfigError(
            f"{file.path}: the network takes images of {file.crop} px, but the card's crop is {crop} px. Change the "
            f"crop to {file.crop}."
        )
    if old is not None:
        chosen, inside = ((each.channels, each.mean, each.std) for each in (embedding.preprocessing, old.preprocessing))
        if chosen != inside:
            raise ConfigError(
                f"{file.path}: the model normalizes images itself, with channels, mean and std {inside}. A card cannot "
                "change that. Leave them out, or export the network again."
            )


def _precision(model: onnx.ModelProto) -> dict[str, str]:
    """Name the precision of a float16 network as exports do."""
    return {"precision": "fp16"} if any(tensor.data_type == HALF for tensor in model.graph.initializer) else {}


def _require_batches(
    model: onnx.ModelProto, data: NDArray[Any], expected: NDArray[Any], tolerance: float, where: str
) -> None:
    """Raise `MalformedModelError` unless the network gives the expected rows at every batch size."""
    problem = batch_problem(open_network(model, where), data, expected, tolerance)
    if problem and free_reshapes(model.graph):
        problem = batch_problem(open_network(model, where), data, expected, tolerance)
    if problem:
        raise MalformedModelError(
            f"{where}: {problem.removeprefix(f'{where}: ').rstrip('.')}. The network works for single images only. "
            "Export it again with a dynamic batch size, for example with dynamic_axes in PyTorch."
        )
