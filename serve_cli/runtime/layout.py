"""The layout of an embedding folder: part files with one row per image, and a manifest that completes them.

``part-00000.parquet``, ... hold the columns of `schema`. ``plan.json`` comes with the first part, and says what all of
them will hold; ``manifest.json`` is written last: a folder without it is not finished.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa

from gluon_lifted.card import CARD_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from gluon_lifted.card import ModelCard

MANIFEST = "manifest.json"
PLAN = "plan.json"
MANIFEST_VERSION = 1
EMBEDDING = pa.list_(pa.field("element", pa.float32(), nullable=False))
PART_NAME = re.compile(r"part-\d{5,}\.parquet")


def part_name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def part_files(folder: Path) -> list[Path]:
    """Part files in order; none if there is no such folder."""
    return sorted(path for path in folder.glob("part-*.parquet") if PART_NAME.fullmatch(path.name))


OWN = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("label", pa.string()),
    pa.field("embedding", EMBEDDING),
    pa.field("error", pa.string()),
)
COLUMNS = frozenset(one.name for one in OWN)


def schema(card: ModelCard, extra: pa.Schema | None = None) -> pa.Schema:
    """Columns of a part file, those that a manifest brought along after our own; the model card in its metadata.

    An embedding is a list of D numbers, not Arrow's fixed-size list: pyarrow up to 25 cannot read one of those
    back from parquet if any is null (apache/arrow issue 35692), and on disk both are the same.
    """
    return pa.schema([*OWN, *(extra or ())], metadata={CARD_KEY: card.to_json()})
