"""Embedded rows -> an embedding folder: part files that appear when they are complete, the manifest last."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file
from serve_cli.runtime.layout import MANIFEST, MANIFEST_VERSION, part_files, part_name, schema
from serve_cli.runtime.rows import EmbeddedRows
from serve_cli.runtime.sources import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard

GROUP_ROWS = 5_000  # rows in memory before they go to the file: 10 MB at D = 512
GROUPS_PER_PART = 20  # 100,000 rows a part


@dataclass(frozen=True)
class Part:
    """One part file: its name, its rows, and how many of them have no embedding."""

    file: str
    rows: int
    failed: int


def require_free(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that an earlier run has written to, unless its embeddings may be replaced.

    Raises
    ------
    RunError
        If ``folder`` is a file, or holds embeddings and ``overwrite`` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: is a file; give a folder for the embeddings.")
    parts, finished = len(part_files(folder)), (folder / MANIFEST).exists()
    if overwrite or not (parts or finished):
        return
    what = "finished embeddings" if finished else f"{parts} part files of a run that did not finish"
    raise RunError(f"{folder}: already holds {what}; choose another --out, or replace them with --overwrite.")


def write_embeddings(
    folder: Path,
    batches: Iterable[EmbeddedRows],
    card: ModelCard,
    about: Mapping[str, Any],
    group_rows: int = GROUP_ROWS,
    groups_per_part: int = GROUPS_PER_PART,
) -> list[Part]:
    """Write all rows, then the manifest. What `require_free` let pass is removed when the first part is complete.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    batches : iterable of EmbeddedRows
        Of any sizes.
    card : ModelCard
        Of the model that made the embeddings.
    about : mapping
        What else the manifest says: source, model file, versions.
    group_rows, groups_per_part : int
        A part holds ``groups_per_part`` groups; a group is what is in memory at a time.

    Raises
    ------
    RunError
        If the folder cannot be written to. Complete parts stay, an incomplete one is removed.
    """
    try:
        _make_ready(folder)
        parts = _write_parts(folder, regroup(batches, group_rows), schema(card), groups_per_part)
        manifest = {
            "manifest_version": MANIFEST_VERSION,
            "rows": sum(part.rows for part in parts),
            "failed": sum(part.failed for part in parts),
            "parts": [asdict(part) for part in parts],
            "card": json.loads(card.to_json()),
            **about,
        }
        with replaced_file(folder / MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunError(f"{folder}: cannot be written to ({error}); free some space, or choose another --out.") from None
    return parts


def regroup(batches: Iterable[EmbeddedRows], size: int) -> Iterator[EmbeddedRows]:
    """The same rows in the same order, ``size`` at a time; the last group may be shorter."""
    held: list[EmbeddedRows] = []
    num_held = 0
    for batch in batches:
        held.append(batch)
        num_held += len(batch.rows)
        while num_held >= size:
            group, rest = _split(_joined(held), size)
            held, num_held = [rest], len(rest.rows)
            yield group
    if num_held:
        yield _joined(held)


def _joined(batches: list[EmbeddedRows]) -> EmbeddedRows:
    return EmbeddedRows(
        list(chain.from_iterable(batch.rows for batch in batches)),
        np.concatenate([batch.embedding for batch in batches]),
        list(chain.from_iterable(batch.errors for batch in batches)),
    )


def _split(batch: EmbeddedRows, at: int) -> tuple[EmbeddedRows, EmbeddedRows]:
    return (
        EmbeddedRows(batch.rows[:at], batch.embedding[:at], batch.errors[:at]),
        EmbeddedRows(batch.rows[at:], batch.embedding[at:], batch.errors[at:]),
    )


def _make_ready(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError("permission denied")
    for leftover in folder.glob(".*.tmp"):  # of a run that was killed
        if leftover.name.startswith((".part-", f".{MANIFEST}.")):
            leftover.unlink(missing_ok=True)


def _write_parts(folder: Path, groups: Iterator[EmbeddedRows], columns: pa.Schema, groups_per_part: int) -> list[Part]:
    parts: list[Part] = []
    while first := next(groups, None):
        name = part_name(len(parts))
        with replaced_file(folder / name) as temporary:
            part = _write_part(temporary, name, chain([first], islice(groups, groups_per_part - 1)), columns)
            if not parts:
                _remove_embeddings(folder)
        parts.append(part)
    return parts


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
        ],
        schema=columns,
    )


def _lists(embedding: NDArray[np.float32], failed: NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    """(n, D) numbers as n lists, null where ``failed``."""
    lengths = np.where(failed, 0, embedding.shape[1])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = pa.array(embedding[~failed].ravel())
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind, mask=pa.array(failed))


def _remove_embeddings(folder: Path) -> None:
    """The manifest first, so that what is left after a crash does not pass for finished embeddings."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for part in part_files(folder):
        part.unlink()
