"""The layout of an embedding folder: a plan, part files with one row per image, and a manifest.

``part-00000.parquet``, ... hold the columns of `own_columns` and the carried columns. ``plan.json`` is written first
and defines the rows of each part. ``manifest.json`` is written last. A folder without it is not finished.
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
    """List the columns that every part file has. ``dtype`` is a key of `serve_cli.embeddings.vectors.DTYPES`."""
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
    """Combine a part file's own columns and the carried columns, with the model card in the metadata.

    Raises
    ------
    DataError
        If two columns have the same name.
    """
    taken = {field.name for field in own}
    for name in (extra or pa.schema([])).names:
        if name in taken:
            raise DataError(
                f"the source's column {name!r} occurs twice, or has the name of a column that is added "
                f"({', '.join(sorted(field.name for field in own))}); rename it."
            )
        taken.add(name)
    return pa.schema([*own, *(extra or ())], metadata={CARD_KEY: card.to_json()})
