"""Embedded rows -> an embedding folder: part files that appear when they are complete, the manifest last."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file
from serve_cli.runtime.layout import MANIFEST, MANIFEST_VERSION, OWN, PLAN, part_files, part_name, schema
from serve_cli.runtime.plan import difference, read_plan
from serve_cli.runtime.rows import EmbeddedRows
from serve_cli.runtime.sources import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard
    from serve_cli.runtime.plan import Plan

GROUP_ROWS = 5_000  # rows in memory before they go to the file: 10 MB at D = 512


@dataclass(frozen=True)
class Part:
    """One part file: its name, its rows, and how many of them have no embedding."""

    file: str
    rows: int
    failed: int


class EmbeddingFolder:
    """A folder that takes the parts of a plan, in any order, from one run or several.

    Parameters
    ----------
    folder : Path
        Made with the first part. What an earlier run of the same plan has finished there is kept.
    plan : Plan
    card : ModelCard
        Of the model that makes the embeddings.
    extra : Schema, optional
        Columns that the rows carry along.
    overwrite : bool
        Replace what is there, once the first new part is complete.

    Attributes
    ----------
    finished : dict of int to Part
        By number.

    Raises
    ------
    RunError
        If ``folder`` is a file, or holds embeddings of another plan.
    """

    def __init__(
        self, folder: Path, plan: Plan, card: ModelCard, extra: pa.Schema | None = None, *, overwrite: bool = False
    ) -> None:
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder}: is a file; give a folder for the embeddings.")
        self._folder, self._plan, self._schema = folder, plan, schema(card, extra)
        self._card = json.loads(card.to_json())
        self._claimed = not overwrite and self._is_ours()
        self._changed = False
        self.finished = self._finished_parts() if self._claimed else {}

    def write(self, number: int, batches: Iterable[EmbeddedRows], group_rows: int = GROUP_ROWS) -> Part:
        """Write a part; it appears when it is complete. Raises `RunError` if that cannot be."""
        name = part_name(number)
        try:
            self._make_ready(name)
            with replaced_file(self._folder / name) as temporary:
                part = _write_part(temporary, name, regroup(batches, group_rows), self._schema)
                self._claim()
        except OSError as error:
            raise self._not_written(error) from None
        self.finished[number], self._changed = part, True
        return part

    def complete(self, about: Mapping[str, Any]) -> tuple[Part, ...] | None:
        """Write the manifest if all parts are there, whoever has written them, unless it is there and they are old.

        Parameters
        ----------
        about : mapping
            What else the manifest says: model file, versions.

        Returns
        -------
        tuple of Part or None
            All parts in order; None if some are not there yet.
        """
        parts = self._finished_parts()
        if len(parts) < self._plan.parts:
            return None
        ordered = tuple(parts[number] for number in range(self._plan.parts))
        if not self._changed and (self._folder / MANIFEST).exists():
            return ordered
        manifest = {
            "manifest_version": MANIFEST_VERSION,
            "rows": sum(part.rows for part in ordered),
            "failed": sum(part.failed for part in ordered),
            "parts": [asdict(part) for part in ordered],
            "card": self._card,
            "source": self._plan.source,
            "provider": self._plan.provider,
            "batch_size": self._plan.batch_size,
            **about,
        }
        self._put(MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        return ordered

    def _is_ours(self) -> bool:
        """Whether the folder holds parts of this very plan; one of another plan is refused."""
        old = read_plan(self._folder)
        if old is None and (part_files(self._folder) or (self._folder / MANIFEST).exists()):
            raise RunError(
                f"{self._folder}: already holds embeddings without a {PLAN}; choose another --out, or replace them "
                "with --overwrite."
            )
        if old is not None and (changed := difference(old, self._plan)):
            raise RunError(
                f"{self._folder}: holds embeddings of another run: {changed}. Choose another --out, or replace them "
                "with --overwrite."
            )
        return old is not None

    def _finished_parts(self) -> dict[int, Part]:
        names = {part_name(number): number for number in range(self._plan.parts)}
        found = {names[path.name]: path for path in part_files(self._folder) if path.name in names}
        parts = {number: self._read_part(path, number) for number, path in found.items()}
        return {number: part for number, part in parts.items() if part is not None}

    def _read_part(self, path: Path, number: int) -> Part | None:
        """None for a file that does not hold the part's rows: it is written anew."""
        try:
            with path.open("rb") as file, pq.ParquetFile(file) as found:
                rows, errors = found.metadata.num_rows, found.read(["error"])["error"]
        except (OSError, pa.ArrowException, KeyError):
            return None
        failed = rows - errors.null_count
        return Part(path.name, rows, failed) if rows == len(self._plan.rows_of(number)) else None

    def _claim(self) -> None:
        """Make the folder this plan's, before its first part is put there."""
        if self._claimed:
            return
        # The manifest first, so that what is left after a crash does not pass for finished embeddings.
        for path in (self._folder / MANIFEST, *part_files(self._folder), self._folder / PLAN):
            path.unlink(missing_ok=True)
        self._put(PLAN, self._plan.to_json())
        self._claimed = True

    def _put(self, name: str, text: str) -> None:
        try:
            with replaced_file(self._folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            raise self._not_written(error) from None

    def _make_ready(self, name: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError("permission denied")
        for leftover in self._folder.glob(f".{name}.*.tmp"):  # of a run that was killed
            leftover.unlink(missing_ok=True)

    def _not_written(self, error: OSError) -> RunError:
        return RunError(f"{self._folder}: cannot be written to ({error}); free some space, or choose another --out.")


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
