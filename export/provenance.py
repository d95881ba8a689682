"""Write into a model's card what was found out about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from export.graph.model import MAX_MODEL_BYTES
from export.libraries import onnx
from export.reader.limits import read_limited
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import ConfigError
from gluon_lifted.files import replaced_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def add_provenance(source: Path, target: Path, facts: Mapping[str, str]) -> None:
    """Copy a model with a card, and add facts to the card's provenance.

    Raises
    ------
    ConfigError
        If the target cannot be written.
    """
    model = onnx.load_model_from_string(read_limited(source, MAX_MODEL_BYTES))
    metadata = {one.key: one.value for one in model.metadata_props}
    card = ModelCard.from_json(metadata[CARD_KEY], str(source))
    metadata[CARD_KEY] = replace(card, provenance=card.provenance | dict(facts)).to_json()
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    try:
        with replaced_file(target) as temporary:
            temporary.write_bytes(model.SerializeToString(deterministic=True))
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written ({error.strerror}).") from None
