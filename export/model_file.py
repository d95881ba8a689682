"""Read and write ONNX files, and the model card inside."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from export.errors import MalformedModelError
from export.external_data import (
    NO_CONSTANTS,
    Constants,
    data_chunks,
    data_file_name,
    external_tensors,
    is_data_file,
    set_locations,
)
from export.graph.model import MAX_MODEL_BYTES
from export.libraries import DecodeError, onnx
from export.reader.limits import read_limited
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import ConfigError
from gluon_lifted.files import replaced_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file. Raise `MalformedModelError` if it is unreadable, too large or not an ONNX model.

    `export.external_data.map_constants` reads constants that are in a second file.
    """
    content = read_limited(path, MAX_MODEL_BYTES)
    try:
        return onnx.load_model_from_string(content)
    except DecodeError:
        raise MalformedModelError(f"{path}: not an ONNX model, or damaged. Export the network again.") from None


def require_file_path(path: Path) -> None:
    """Raise `ConfigError` if a model cannot be written to a path because that is a folder."""
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}).") from None
    if is_folder:
        raise ConfigError(f"{path}: is a folder; expected the path of the ONNX file to write.")


def write_model(path: Path, model: onnx.ModelProto, constants: Constants = NO_CONSTANTS) -> int:
    """Write a model whole or not at all, with missing parent folders, and return its size in bytes.

    Parameters
    ----------
    path : Path
        The ONNX file; replaced if it exists.
    model : ModelProto
        The model. The locations of constants that it does not hold are set.
    constants : mapping
        Those constants by name. They are written first, to a second file beside the model, which has a name of its
        own, so that a model is never paired with another's data. The data of the replaced model are removed.

    Raises
    ------
    ConfigError
        If a file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        older = {sibling for sibling in path.parent.iterdir() if is_data_file(sibling.name, path.name)}
        with replaced_file(path) as temporary, _data_file(path, model, constants) as data:
            temporary.write_bytes(model.SerializeToString(deterministic=True))
        for stale in older - {data}:
            stale.unlink(missing_ok=True)
        return sum(file.stat().st_size for file in (path, data) if file is not None)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}).") from None


def card_of(model: onnx.ModelProto, where: str) -> ModelCard | None:
    """Return the card of a model, if any. Raises `RunError` that names ``where`` if it is damaged."""
    texts = {prop.key: prop.value for prop in model.metadata_props}
    return ModelCard.from_json(texts[CARD_KEY], where) if CARD_KEY in texts else None


def set_card(model: onnx.ModelProto, card: ModelCard) -> None:
    """Replace the card of a model. Other metadata stays."""
    texts = {prop.key: prop.value for prop in model.metadata_props}
    onnx.helper.set_model_props(model, texts | {CARD_KEY: card.to_json()})


@contextmanager
def _data_file(path: Path, model: onnx.ModelProto, constants: Constants) -> Iterator[Path | None]:
    """Write the constants that a model does not hold, and declare their locations. The file appears on success."""
    if not external_tensors(model):
        yield None
        return
    data = path.with_name(data_file_name(path.name, model, constants))
    set_locations(model, data.name)
    with replaced_file(data) as temporary, temporary.open("wb") as file:
        file.writelines(data_chunks(model, constants))
        file.flush()
        yield data
