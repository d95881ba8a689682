"""Parts as parquet files, one each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.files import replaced_file
from serve_cli.runtime.layout import OWN, part_files, part_name, schema
from serve_cli.runtime.parts import Part, remove_leftovers_of
from serve_cli.runtime.sources import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard
    from serve_cli.runtime.rows import EmbeddedRows


class ParquetParts:
    """See `serve_cli.runtime.parts.Parts`."""

    def __init__(self, folder: Path, card: ModelCard, extra: pa.Schema | None) -> None:
        self._folder, self._schema = folder, schema(card, extra)

    def files(self) -> list[Path]:
        return part_files(self._folder)

    def write(self, number: int, groups: Iterable[EmbeddedRows], claim: Callable[[], None]) -> Part:
        path = self._folder / part_name(number)
        remove_leftovers_of(path)
        with replaced_file(path) as temporary:
            part = _write_part(temporary, path.name, groups, self._schema)
            claim()
        return part

    def read(self, number: int) -> Part | None:
        path = self._folder / part_name(number)
        try:
            with path.open("rb") as file, pq.ParquetFile(file) as found:
                rows, errors = found.metadata.num_rows, found.read(["error"])["error"]
        except (OSError, pa.ArrowException, KeyError):
            return None
        return Part(path.name, rows, rows - errors.null_count)


def _write_part(path: Path, name: str, groups: Iterable[EmbeddedRows], columns: pa.Schema) -> Part:
    rows = failed = 0
    # A dictionary is of no use to embeddings: hardly a number comes twice.
    with (
        path.open("wb") as file,  # by Python: pyarrow takes no path that is not UTF-8
        pq.ParquetWriter(file, columns, use_dictionary=["label"], compression="zstd") as writer,
    ):
        for group in groups:
            writer.write_table(_table(group, columns))
            rows += len(group.rows)
            failed += sum(error is not None for error in group.errors)
    return Part(name, rows, failed)


def _table(group: EmbeddedRows, columns: pa.Schema) -> pa.Table:
    failed = np.array([error is not None for error in group.errors])
    return pa.Table.from_arrays(
        [
            pa.array([row.id for row in group.rows], pa.string()),
            pa.array([as_text(row.path) for row in group.rows], pa.string()),
            pa.array([row.label for row in group.rows], pa.string()),
            _lists(group.embedding, failed, columns.field("embedding").type),
            pa.array(group.errors, pa.string()),
            *(pa.array([row.extra[one.name] for row in group.rows], one.type) for one in list(columns)[len(OWN) :]),
        ],
        schema=columns,
    )


def _lists(embedding: NDArray[np.float32], failed: NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    """(n, D) numbers as n lists, null where ``failed``."""
    lengths = np.where(failed, 0, embedding.shape[1])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = pa.array(embedding[~failed].ravel())
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind, mask=pa.array(failed))
