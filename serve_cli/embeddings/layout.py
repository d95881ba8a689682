"""The layout of an embedding folder: part files with one row per image, and a manifest that completes them.

``part-00000.parquet``, ... hold the columns of `own_columns`, and those that were carried along. ``plan.json`` comes
with the first part, and says what all of them will hold; ``manifest.json`` is written last: a folder without it is
not finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import DataError
from serve_cli.embeddings.vectors import DTYPES

if TYPE_CHECKING:
    from gluon_lifted.card import ModelCard

MANIFEST = "manifest.json"
PLAN = "plan.json"
MANIFEST_VERSION = 1


def own_columns(dim: int, dtype: str) -> list[pa.Field]:
    """The columns of every part file; ``dtype`` is one of `serve_cli.embeddings.vectors.DTYPES`."""
    number = pa.from_numpy_dtype(DTYPES[dtype])
    scale = [pa.field("scale", pa.float32())] if dtype == "int8" else []
    return [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("embedding", pa.list_(pa.field("element", number, nullable=False), dim)),
        *scale,
        pa.field("error", pa.string()),
    ]


def schema(own: list[pa.Field], extra: pa.Schema | None, card: ModelCard) -> pa.Schema:
    """Our own columns, then those that a manifest brought along; the model card in its metadata.

    Raises
    ------
    DataError
        If two columns have one name.
    """
    taken = {field.name for field in own}
    for name in (extra or pa.schema([])).names:
        if name in taken:
            raise DataError(
                f"the source's column {name!r} has the name of one of the embeddings' own, or comes twice; rename it."
            )
        taken.add(name)
    return pa.schema([*own, *(extra or ())], metadata={CARD_KEY: card.to_json()})
