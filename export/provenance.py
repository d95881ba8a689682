"""Add facts to the card inside an ONNX file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.external_data import map_constants
from export.model_file import card_of, read_model, set_card, write_model
from gluon_lifted.errors import RunError

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
    RunError
        If the source has no card.
    ConfigError
        If the target cannot be written.
    """
    model = read_model(Path(source))
    constants = map_constants(model, Path(source))
    card = card_of(model, str(source))
    if card is None:
        raise RunError(f"{source}: has no model card; expected a model that `lifted export RUN` wrote.")
    set_card(model, replace(card, provenance=card.provenance | dict(facts)))
    write_model(Path(target), model, constants)
