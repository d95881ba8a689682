"""An opened index: nearest rows, vectors and columns by global row number."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import dataset

from gluon_lifted.errors import ConfigError, DataError, RunError
from serve_cli.retrieval.index.deletions import read_deletions
from serve_cli.retrieval.index.exact_search import (
    Block,
    Nearest,
    checked_queries,
    exact_nearest,
)
from serve_cli.retrieval.index.layout import read_index_manifest
from serve_cli.retrieval.index.segment import BLOCK_ROWS, READ_ERRORS, Segment

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from serve_cli.retrieval.index.approximate_search import ApproximateSearch
    from serve_cli.retrieval.index.layout import IndexManifest, SearchParameters

EXACT_AMONG = 50_000  # up to this many rows that may be returned are all compared
ATTEMPTS = 5  # to open an index that is being switched to new versions
SHOWN_IDS = 5


class CatalogIndex:
    """An index folder, mapped into memory. Any number of threads may read it at the same time.

    An index that is open keeps its version while other processes add or delete rows.

    Attributes
    ----------
    path : Path
        The folder.
    manifest : IndexManifest
        Content of ``index.json``.
    segments : tuple of Segment
        In the order of their rows.
    deleted : ndarray, int64, (n,)
        Deleted rows, sorted.
    """

    def __init__(self, path: Path, manifest: IndexManifest) -> None:
        self.path, self.manifest = path, manifest
        self.card, self.distance, self.dim = manifest.card, manifest.card.distance, manifest.card.dim
        self.model = None if manifest.model is None else Path(manifest.model)
        self.model_sha256, self.exact = manifest.model_sha256, manifest.exact
        self.deleted = read_deletions(path, manifest)
        segments: list[Segment] = []
        for record in manifest.segments:
            first = segments[-1].first + segments[-1].rows if segments else 0
            segments.append(Segment(path, record, first, self.dim))
        if not segments:
            raise RunError(f"{path}: names no segment; build the index again.")
        if any(segment.schema != segments[0].schema for segment in segments):
            raise RunError(f"{path}: its segments have different columns; build the index again.")
        self.segments, self.schema = tuple(segments), segments[0].schema
        self._ends = np.array([segment.first + segment.rows for segment in segments])

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> CatalogIndex:
        """Open an index. Raises `RunError` if it is missing, damaged or of another version."""
        folder = Path(path)
        for _ in range(ATTEMPTS):
            manifest = read_index_manifest(folder)
            try:
                return cls(folder, manifest)
            except FileNotFoundError as error:  # switched to a new version since `index.json` was read
                missing = error
        raise RunError(f"{folder}: a file is missing ({missing!s:.200}); build the index again.") from None

    def __enter__(self) -> CatalogIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the files. The index cannot be used afterwards."""
        self.segments = ()

    def __len__(self) -> int:
        return self.rows

    @property
    def total(self) -> int:
        """Rows including deleted ones. Row numbers are below it."""
        return self.manifest.total

    @property
    def rows(self) -> int:
        """Rows that are not deleted."""
        return self.total - len(self.deleted)

    @cached_property
    def approximation(self) -> ApproximateSearch:
        """Search by inverted lists or graphs, whose files are opened when it is first used."""
        from serve_cli.retrieval.index.approximate_search import ApproximateSearch

        return ApproximateSearch(self.segments, self.distance, self.live if len(self.deleted) else None)

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """Whether each row is not deleted, (total,)."""
        live = np.ones(self.total, bool)
        live[self.deleted] = False
        return live

    def nearest(self, queries: NDArray[np.float32], k: int, *, among: NDArray[np.int64] | None = None) -> Nearest:
        """Find the k nearest rows of each query.

        Parameters
        ----------
        queries : ndarray, float32, (Q, D)
            Finite. For cosine, their norm does not matter.
        k : int
            Neighbors per query, at least 1.
        among : ndarray, int64, (n,), optional
            Sorted row numbers that may be returned. Deleted rows never are.

        Returns
        -------
        Nearest
            Exact distances. Row -1 at distance infinity where the index has fewer than k rows to return.

        Raises
        ------
        ConfigError
            If ``k`` is less than 1.
        DataError
            If the queries have another width or are not finite, or a row number is out of range.
        """
        if k < 1:
            raise ConfigError(f"k is {k}; expected 1 or more.")
        queries = checked_queries(queries, self.dim, self.distance)
        if among is not None:
            among = self._checked_rows(among)
            among = among[self.live[among]] if len(self.deleted) else among
        if self.exact or (among is not None and len(among) <= EXACT_AMONG):
            return self.exhaustive(queries, k, among)
        return self.approximate(queries, k, self.manifest.search, among)

    def exhaustive(self, queries: NDArray[np.float32], k: int, among: NDArray[np.int64] | None = None) -> Nearest:
        """Compare all live rows, or the rows ``among``, with prepared queries; see `nearest`."""
        return exact_nearest(queries, k, self._blocks(among), self.distance)

    def approximate(
        self,
        queries: NDArray[np.float32],
        k: int,
        search: SearchParameters,
        among: NDArray[np.int64] | None = None,
    ) -> Nearest:
        """Rank candidates by exact distances, and search with more effort until k are found."""
        nearest = self.approximation.nearest(queries, k, search, among)
        return self.exhaustive(queries, k, among) if nearest is None else nearest

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of rows as they are stored, (n, D): of unit norm for cosine."""
        rows = self._checked_rows(rows)
        vectors = np.empty((len(rows), self.dim), np.float32)
        for segment, chosen in self._by_segment(rows):
            vectors[chosen] = segment.vectors(rows[chosen] - segment.first)
        return vectors

    def table(self, rows: NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Return columns of rows, all by default, in the order of ``rows``. Raises `DataError` for unknown columns."""
        rows, names = self._checked_rows(rows), self.schema.names if columns is None else list(columns)
        self._check_columns(names)
        tables = [self.schema.empty_table().select(names)]
        positions = [np.empty(0, np.int64)]
        for segment, chosen in self._by_segment(rows):
            tables.append(segment.table(rows[chosen] - segment.first, names))
            positions.append(chosen)
        return pa.concat_tables(tables).take(pa.array(np.argsort(np.concatenate(positions))))

    def rows_of_ids(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows of ids, (n,), in their order. Raises `DataError` that names missing ones."""
        rows = self.find_ids(ids)
        missing = [name for name, row in zip(ids, rows, strict=True) if row < 0]
        if missing:
            shown = ", ".join(f"{name!r:.100}" for name in missing[:SHOWN_IDS])
            more = f" and {len(missing) - SHOWN_IDS:,} more" if len(missing) > SHOWN_IDS else ""
            raise DataError(f"{self.path}: has no rows with the ids {shown}{more}; give ids of its `id` column.")
        return rows

    def find_ids(self, ids: Sequence[str] | pa.ChunkedArray) -> NDArray[np.int64]:
        """Return the rows of ids, (n,), in their order, or -1 for an id without a row."""
        wanted = ids if isinstance(ids, pa.ChunkedArray) else pa.array(ids, pa.string())
        unique = wanted.unique()
        rows = np.full(len(unique), -1, np.int64)
        for segment in self.segments:
            for first, batch in segment.batches(["id"]):
                number = pc.index_in(batch["id"], value_set=unique)
                matches = np.flatnonzero(np.asarray(number.is_valid()))
                matches = matches[self.live[first + matches]]
                rows[np.asarray(number.take(pa.array(matches)))] = first + matches
        return rows[np.asarray(pc.index_in(wanted, value_set=unique))] if len(wanted) else rows

    def rows_where(self, condition: pc.Expression) -> NDArray[np.int64]:
        """Return the rows that meet a condition on columns, sorted, (n,). Raises `DataError` if it does not apply."""
        rows = [np.empty(0, np.int64)]
        name = "row number"
        while name in self.schema.names:
            name += "_"
        for segment in self.segments:
            batches = [batch for _, batch in segment.batches(self.schema.names)]
            numbers = pa.array(np.arange(segment.first, segment.first + segment.rows))
            table = pa.Table.from_batches(batches, self.schema).append_column(name, numbers)
            try:  # a scanner reads the columns of the condition alone; `Table.filter` copies all
                scanner = dataset.dataset(table).scanner(columns=[name], filter=condition, use_threads=False)
                rows.append(np.asarray(scanner.to_table()[name]))
            except READ_ERRORS as error:
                raise DataError(f"the condition {condition!s:.200} cannot be applied ({error!s:.200}).") from None
        met = np.concatenate(rows)
        return np.asarray(met[self.live[met]])

    def _blocks(self, rows: NDArray[np.int64] | None) -> Iterator[Block]:
        if rows is None:
            for segment in self.segments:
                for block in segment.blocks():
                    yield block if not len(self.deleted) else block.only(self.live[block.rows])
            return
        for start in range(0, len(rows), BLOCK_ROWS):
            part = rows[start : start + BLOCK_ROWS]
            yield Block(part, self.vectors(part))

    def _by_segment(self, rows: NDArray[np.int64]) -> Iterator[tuple[Segment, NDArray[np.int64]]]:
        """Yield each segment that has some of the rows, and their positions in ``rows``."""
        numbers = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(numbers):
            yield self.segments[number], np.flatnonzero(numbers == number)

    def _checked_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = np.asarray(rows, np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.total):
            raise DataError(
                f"{self.path}: row numbers are {rows.min()} to {rows.max()}; expected 0 to {self.total - 1}."
            )
        return rows

    def _check_columns(self, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self.schema.names]
        if unknown:
            known = ", ".join(self.schema.names)
            raise DataError(f"{self.path}: has no column {unknown[0]!r:.100}; its columns are {known:.500}.")
