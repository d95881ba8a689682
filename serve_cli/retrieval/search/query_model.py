"""The model that an index names. Queries from any other model are refused."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gluon_lifted.errors import RunError
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    from pathlib import Path

    from gluon_lifted.card import ModelCard
    from serve_cli.retrieval.index.catalog import CatalogIndex

log = logging.getLogger(__name__)
SHOWN_DIGITS = 12  # of a hash
COMPARED = ("dim", "distance", "normalized", "preprocessing")  # fields of the card that decide embeddings and ranking


def open_query_model(
    index: CatalogIndex, model: Path | None = None, options: ModelOptions = ModelOptions()
) -> Embedder:
    """Open the model of an index.

    Parameters
    ----------
    index : CatalogIndex
        Names the file, its hash and its card.
    model : Path, optional
        Where the file is now, if it has moved.
    options : ModelOptions
        How to run it.

    Raises
    ------
    RunError
        If the file is missing, or is not the model that embedded the catalog.
    """
    path = model if model is not None else index.model
    if path is None:
        raise RunError(f"{index.path}: does not name its model; give --model the file that embedded the catalog.")
    if model is None and not path.is_file():
        raise RunError(f"{path}: no such file, but {index.path} names it as its model; give --model its new location.")
    embedder = Embedder(path, options)
    try:
        require_same_model(index, str(path), embedder.card, embedder.model_sha256)
    except RunError:
        embedder.close()
        raise
    return embedder


def require_same_model(index: CatalogIndex, name: str, card: ModelCard, sha256: str | None) -> None:
    """Raise `RunError` unless a card and a hash are those of the index.

    Parameters
    ----------
    index : CatalogIndex
        The index to search.
    name : str
        The model, or the embedding folder, in errors.
    card : ModelCard
        Its dimension, distance and preprocessing are compared.
    sha256 : str or None
        Hash of the model file; None if unknown.
    """
    for field in COMPARED:
        ours, theirs = getattr(card, field), getattr(index.card, field)
        if ours != theirs:
            raise RunError(
                f"{name}: {field} is {ours!s:.300}, but {theirs!s:.300} in {index.path}; embed queries with the model "
                f"that embedded the catalog{_model(index)}."
            )
    if sha256 is None or index.model_sha256 is None:
        log.warning("lifted: %s: the hash of the model is unknown, so only the model cards were compared.", name)
    elif sha256 != index.model_sha256:
        raise RunError(
            f"{name}: the model's SHA-256 is {sha256[:SHOWN_DIGITS]}…, but {index.model_sha256[:SHOWN_DIGITS]}… in "
            f"{index.path}; embed queries with the model that embedded the catalog{_model(index)}."
        )


def _model(index: CatalogIndex) -> str:
    return "" if index.model is None else f", {index.model!s:.300}"
