"""Add facts to the card inside an ONNX file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.external_data import map_constants
from export.libraries import onnx
from export.model_file import read_model, write_model
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


def add_provenance(source: str | os.PathLike[str], target: str | os.PathLike[str], facts: Mapping[str, str]) -> None:
    """Copy a model that has a card, and add facts to the card's provenance.

    Parameters
    ----------
    source, target : path-like
        ONNX files; they may be the same.
    facts : mapping of str to str
        Name -> value; replaces a fact of the same name.

    Raises
    ------
    ConfigError
        If the target cannot be written.
    """
    model = read_model(Path(source))
    constants = map_constants(model, Path(source))
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    card = ModelCard.from_json(metadata[CARD_KEY], str(source))
    metadata[CARD_KEY] = replace(card, provenance=card.provenance | dict(facts)).to_json()
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    write_model(Path(target), model, constants)
