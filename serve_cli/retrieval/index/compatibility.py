"""Check that embeddings can join an index: the same model, preprocessing and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from serve_cli.embeddings.stream import EmbeddingStream
    from serve_cli.retrieval.index.catalog import CatalogIndex

CARD_FIELDS = ("dim", "distance", "normalized", "preprocessing")
SHORT_HASH = 12


def check_compatible(stream: EmbeddingStream, index: CatalogIndex) -> None:
    """Raise `DataError` unless the rows of ``stream`` can be stored beside and compared with those of ``index``."""
    for name in CARD_FIELDS:
        ours, theirs = getattr(index.card, name), getattr(stream.card, name)
        if ours != theirs:
            raise DataError(
                f"{stream.folder}: was embedded with {name} {theirs!s:.300}, but {index.path} expects {ours!s:.300}; "
                "embed the images with the model of the index, or build a new index."
            )
    if stream.model_sha256 != index.model_sha256:
        raise DataError(
            f"{stream.folder}: was embedded by {_model(stream.model, stream.model_sha256)}, but {index.path} holds "
            f"embeddings of {_model(index.manifest.model, index.model_sha256)}; embed the images with the model of the "
            "index, or build a new index."
        )
    _check_columns(stream, index)


def _check_columns(stream: EmbeddingStream, index: CatalogIndex) -> None:
    ours, theirs = _types(index.schema), _types(stream.schema)
    differences = [
        f"{name} ({theirs.get(name, 'missing')!s:.100}, expected {ours.get(name, 'no such column')!s:.100})"
        for name in [*ours, *(theirs.keys() - ours.keys())]
        if not _can_hold(ours.get(name), theirs.get(name))
    ]
    if not differences:
        return
    raise DataError(
        f"{stream.folder}: has other columns than {index.path}: {', '.join(differences):.500}; embed a table with the "
        "same columns, or build a new index."
    )


def _can_hold(kind: pa.DataType | None, other: pa.DataType | None) -> bool:
    """Whether a column can hold another's values. float64 holds int64, the type of whole prices in a CSV file."""
    return kind == other or (kind == pa.float64() and other == pa.int64())


def _types(schema: pa.Schema) -> dict[str, pa.DataType]:
    return dict(zip(schema.names, schema.types, strict=True))


def _model(path: str | None, sha256: str | None) -> str:
    return f"{path or 'an unknown model'} (SHA-256 {(sha256 or 'unknown')[:SHORT_HASH]})"
