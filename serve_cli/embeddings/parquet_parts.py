"""Parts as parquet files, one each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.files import replaced_file
from gluon_lifted.parquet.page_claims import read_groups
from serve_cli.embeddings.arrow_table import to_table
from serve_cli.embeddings.checked_parquet import READ_ERRORS
from serve_cli.embeddings.layout import (
    own_columns,
    part_files,
    part_name,
    schema,
)
from serve_cli.embeddings.parts import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from gluon_lifted.card import ModelCard
    from serve_cli.sources.image_row import EmbeddedRows


class ParquetParts:
    """See `serve_cli.embeddings.parts.Parts`."""

    def __init__(self, folder: Path, card: ModelCard, dtype: str, extra: pa.Schema | None) -> None:
        self._folder, self._dtype = folder, dtype
        self._schema = schema(own_columns(card.dim, dtype), extra, card)

    def files(self) -> list[Path]:
        return part_files(self._folder)

    def write(self, number: int, groups: Iterable[EmbeddedRows], claim: Callable[[], None]) -> Part:
        path = self._folder / part_name(number)
        with replaced_file(path) as temporary:
            part = self._fill(temporary, path.name, groups)
            claim()
        return part

    def read(self, number: int) -> Part | None:
        path = self._folder / part_name(number)
        try:
            with path.open("rb") as file:
                read_groups(file, columns=0)
                with pq.ParquetFile(file) as found:
                    rows, errors = found.metadata.num_rows, found.read(["error"])["error"]
        except READ_ERRORS:
            return None
        return Part(path.name, rows, rows - errors.null_count)

    def _fill(self, path: Path, name: str, groups: Iterable[EmbeddedRows]) -> Part:
        rows = failed = 0
        # A dictionary is of no use to embeddings: hardly a number comes twice.
        with (
            path.open("wb") as file,  # by Python: pyarrow takes no path that is not UTF-8
            pq.ParquetWriter(
                file, self._schema, use_dictionary=["label"], compression="zstd", write_page_checksum=True
            ) as writer,
        ):
            for group in groups:
                writer.write_table(to_table(group, self._schema, self._dtype))
                rows += len(group.rows)
                failed += sum(error is not None for error in group.errors)
        return Part(name, rows, failed)
