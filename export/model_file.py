"""Read and write ONNX files, and the model card inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import MalformedModelError
from export.graph.model import MAX_MODEL_BYTES
from export.libraries import DecodeError, onnx
from export.reader.limits import read_limited
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import ConfigError
from gluon_lifted.files import replaced_file

if TYPE_CHECKING:
    from pathlib import Path


def read_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file. Raise `MalformedModelError` if it is unreadable, too large or not an ONNX model."""
    content = read_limited(path, MAX_MODEL_BYTES)
    try:
        return onnx.load_model_from_string(content)
    except DecodeError:
        raise MalformedModelError(f"{path} is not an ONNX model; export the network again.") from None


def require_file_path(path: Path) -> None:
    """Raise `ConfigError` if a model cannot be written to a path because that is a folder."""
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}).") from None
    if is_folder:
        raise ConfigError(f"{path} is a folder; expected the path of the ONNX file to write.")


def write_model(path: Path, model: onnx.ModelProto) -> int:
    """Write a model whole or not at all, with missing parent folders, and return its size in bytes.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    content = model.SerializeToString(deterministic=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}).") from None
    return len(content)


def card_of(model: onnx.ModelProto, where: str) -> ModelCard | None:
    """Return the card of a model, if any. Raises `RunError` that names ``where`` if it is damaged."""
    texts = {prop.key: prop.value for prop in model.metadata_props}
    return ModelCard.from_json(texts[CARD_KEY], where) if CARD_KEY in texts else None


def set_card(model: onnx.ModelProto, card: ModelCard) -> None:
    """Replace the card of a model; other metadata stays."""
    texts = {prop.key: prop.value for prop in model.metadata_props}
    onnx.helper.set_model_props(model, texts | {CARD_KEY: card.to_json()})
