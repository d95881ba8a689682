"""Nearest rows of an index with inverted lists or graphs: they propose candidates, exact distances decide."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import RunError
from serve_cli.retrieval.index.exact_search import NOTHING, Nearest, pair_keys, to_distances
from serve_cli.retrieval.index.faiss_format import check_faiss_file
from serve_cli.retrieval.index.graph import Graph
from serve_cli.retrieval.index.inverted_lists import InvertedLists, Selector
from serve_cli.retrieval.index.layout import FAISS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gluon_lifted.metrics.choices import Distance
    from serve_cli.retrieval.index.inverted_lists import PreparedQueries
    from serve_cli.retrieval.index.layout import SearchParameters
    from serve_cli.retrieval.index.segment import Segment

LISTS_MAGIC, GRAPH_MAGICS = b"Iw", (b"IH", b"Ix")  # FAISS's types start with them
WIDER = 4  # times the effort where too few rows were returned
FEW_DELETED = 0.1  # share of deleted rows up to which further candidates take less time than a selector


Proposals = InvertedLists | Graph


def open_proposals(segment: Segment, distance: Distance) -> Proposals:
    """Open the FAISS file of a segment. Raises `RunError` if it is damaged."""
    path, expected, dim = segment.folder / FAISS, segment.record.faiss_bytes, segment.stored.shape[1]
    if not path.is_file():  # opening a pipe would block
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        magic, size = file.read(2), file.seek(0, 2)
    if size != expected:
        raise RunError(f"{path}: has {size:,} bytes, expected {expected:,}; build the index again.")
    check_faiss_file(path, segment.rows)
    if magic in GRAPH_MAGICS:
        return Graph(segment.folder, segment.record, dim)
    if magic == LISTS_MAGIC:
        return InvertedLists(segment.folder, segment.record, dim, distance)
    raise RunError(f"{path}: holds neither inverted lists nor a graph of FAISS; build the index again.")


class SegmentSearch:
    """Candidates from one segment.

    Parameters
    ----------
    segment : Segment
    proposals : InvertedLists or Graph
    live : ndarray, bool, (rows,), or None
        Its rows that are not deleted; None for all.
    """

    def __init__(self, segment: Segment, proposals: Proposals, live: NDArray[np.bool_] | None) -> None:
        self.segment, self.proposals, self.live = segment, proposals, live
        self._deleted = 0.0 if live is None else 1 - float(live.mean())

    def candidates(self, queries: PreparedQueries, count: int, among: Selector | None) -> NDArray[np.int64]:
        """Return rows of the segment that are not deleted, (Q, width), -1 for none.

        They are at least the ``count`` that FAISS ranks highest, or all where it returns fewer.
        """
        count = min(count, self.segment.rows)
        if among is not None or self.live is None:
            return self.proposals.candidates(queries, count, among)
        if self._deleted > FEW_DELETED:
            return self.proposals.candidates(queries, count, self._live_selector)
        spare = 2 + math.ceil(2 * count * self._deleted)
        rows = self.proposals.candidates(queries, min(count + spare, self.segment.rows), None)
        returned_all = rows[:, -1] < 0
        rows[~self.live[rows]] = NOTHING  # -1 stays -1
        lacking = np.flatnonzero(~returned_all & ((rows >= 0).sum(axis=1) < count))
        if len(lacking):
            rows[lacking] = NOTHING
            rows[lacking, :count] = self.proposals.candidates(queries.select(lacking), count, self._live_selector)
        return rows

    @cached_property
    def _live_selector(self) -> Selector | None:
        return None if self.live is None else Selector(self.live)


class ApproximateSearch:
    """Ranks the candidates of all segments by exact distances.

    Parameters
    ----------
    segments : sequence of Segment
        Their FAISS files were encoded alike.
    distance : {"euclidean", "cosine"}
    live : ndarray, bool, (total,), or None
        Rows of the index that are not deleted; None for all.

    Raises
    ------
    RunError
        If a FAISS file is damaged, or does not fit the others.
    """

    def __init__(self, segments: Sequence[Segment], distance: Distance, live: NDArray[np.bool_] | None) -> None:
        self._distance, self._total = distance, sum(segment.rows for segment in segments)
        self._rows = self._total if live is None else int(live.sum())
        self.parts: list[SegmentSearch] = []
        for segment in segments:
            proposals = open_proposals(segment, distance)
            own = None if live is None else live[segment.first : segment.first + segment.rows]
            self.parts.append(SegmentSearch(segment, proposals, None if own is None or own.all() else own))
        self.proposals = self.parts[0].proposals
        expected = self.proposals.fixed
        for part in self.parts:
            if part.proposals.fixed != expected:
                raise RunError(
                    f"{part.segment.folder}: has {part.proposals.fixed}, expected {expected} as in the first segment; "
                    "build the index again."
                )

    def nearest(
        self,
        queries: NDArray[np.float32],
        k: int,
        search: SearchParameters,
        among: NDArray[np.int64] | None = None,
    ) -> Nearest | None:
        """Search, with more effort until k are found; see `CatalogIndex.nearest`.

        Returns
        -------
        Nearest or None
            None if everything has been searched and rows are still missing.
        """
        wanted = min(k, self._rows if among is None else len(among))
        share = None if among is None else max(len(among), 1) / self._total
        effort, count = self.proposals.effort(search, k, share)
        selectors = self._selectors(among)
        while True:
            prepared = self.proposals.prepare(queries, effort)
            candidates = [
                part.candidates(prepared, count, selector) for part, selector in zip(self.parts, selectors, strict=True)
            ]
            nearest = self._ranked(queries, k, candidates)
            if not wanted or (nearest.rows[:, wanted - 1] >= 0).all():
                return nearest
            if effort >= max(part.proposals.count for part in self.parts):
                return None
            effort *= WIDER

    def _selectors(self, among: NDArray[np.int64] | None) -> list[Selector | None]:
        if among is None:
            return [None] * len(self.parts)
        allowed = np.zeros(self._total, bool)
        allowed[among] = True
        segments = [part.segment for part in self.parts]
        return [Selector(allowed[segment.first : segment.first + segment.rows]) for segment in segments]

    def _ranked(self, queries: NDArray[np.float32], k: int, candidates: list[NDArray[np.int64]]) -> Nearest:
        """Order the candidates of all segments at once, by exact distances."""
        keys, rows = np.full((len(queries), k), np.inf), np.full((len(queries), k), NOTHING, np.int64)
        for number in range(len(queries)):
            own_rows, vectors = self._gathered([part[number] for part in candidates])
            own_keys = pair_keys(queries[number : number + 1], vectors[None], self._distance)[0]
            order = np.lexsort((own_rows, own_keys))[:k]
            keys[number, : len(order)], rows[number, : len(order)] = own_keys[order], own_rows[order]
        return Nearest(rows, to_distances(keys, self._distance))

    def _gathered(self, candidates: list[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the row numbers, (n,), and vectors, (n, D), of one query's candidates of each segment."""
        numbers, vectors = [], []
        for part, own in zip(self.parts, candidates, strict=True):
            rows = own[own >= 0]
            vectors.append(part.segment.vectors(rows))
            numbers.append(rows + part.segment.first)
        return (numbers[0], vectors[0]) if len(numbers) == 1 else (np.concatenate(numbers), np.concatenate(vectors))
