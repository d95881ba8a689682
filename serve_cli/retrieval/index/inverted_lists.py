"""The FAISS file of a segment: inverted lists that propose candidates. The file may be damaged or hostile."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.errors import RunError
from serve_cli.retrieval.index.faiss_library import faiss, faiss_errors
from serve_cli.retrieval.index.layout import FAISS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.metrics.choices import Distance
    from serve_cli.retrieval.index.layout import SearchParameters, SegmentRecord

NO_LISTS, NO_DISTANCES = np.empty((0, 0), np.int64), np.empty((0, 0), np.float32)
FILTERED_RERANK = 12  # candidates per neighbor among some rows: 8 lose 1 % of the neighbors, more hardly any
POSITIONS_IN_LISTS = False  # FAISS returns rows instead
OWN_LISTS = ("ArrayInvertedLists", "BlockInvertedLists")  # others name further files


class PreparedQueries(NamedTuple):
    """Some queries, with everything that is the same for all segments."""

    vectors: NDArray[np.float32]  # (Q, d) as candidates are compared
    effort: int  # lists to scan, or width of a graph's beam
    lists: NDArray[np.int64] = NO_LISTS  # (Q, nprobe) to scan, nearest first
    distances: NDArray[np.float32] = NO_DISTANCES  # (Q, nprobe) of their centroids

    def select(self, numbers: NDArray[np.int64]) -> PreparedQueries:
        """Select queries."""
        lists = self.lists if self.lists is NO_LISTS else self.lists[numbers]
        distances = self.distances if self.distances is NO_DISTANCES else self.distances[numbers]
        return PreparedQueries(self.vectors[numbers], self.effort, lists, distances)


class InvertedLists:
    """Proposes candidates from a segment's FAISS file.

    Parameters
    ----------
    folder : Path
        The segment.
    record : SegmentRecord
        What ``index.json`` says about it.
    dim : int
        Width D of the vectors.
    distance : {"euclidean", "cosine"}

    Raises
    ------
    RunError
        If the file is damaged, or does not match ``index.json``.
    """

    def __init__(self, folder: Path, record: SegmentRecord, dim: int, distance: Distance) -> None:
        self._path, self._rows = folder / FAISS, record.rows
        with faiss_errors(f"{self._path}: cannot be read; build the index again"):
            self._index = faiss.read_index(str(self._path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
            self._check(dim, distance)
        self.count = int(self._index.nlist)
        self.fixed = f"{self.count:,} lists"  # what all segments share

    def effort(self, search: SearchParameters, k: int, share: float | None) -> tuple[int, int]:
        """Return the numbers of lists and of candidates, if a share of the rows may be returned. None means all."""
        if share is None:
            return search.effort, k * search.rerank
        return search.filtered_effort, k * max(search.rerank, FILTERED_RERANK)

    def prepare(self, queries: NDArray[np.float32], nprobe: int) -> PreparedQueries:
        """Find the lists nearest to each query. All segments of an index have the same centroids."""
        nprobe = min(nprobe, self.count)
        lists = np.empty((len(queries), nprobe), np.int64)
        distances = np.empty((len(queries), nprobe), np.float32)
        parameters = None
        if isinstance(self._index.quantizer, faiss.IndexHNSW):
            parameters = faiss.SearchParametersHNSW(efSearch=2 * nprobe)
        with faiss_errors(f"{self._path}: cannot be searched"):  # search_c has less overhead than search
            self._index.quantizer.search_c(
                len(queries), _pointer(queries), nprobe, _pointer(distances), _pointer(lists), parameters
            )
        if lists.max(initial=-1) >= self.count:
            raise self._error(f"has list {lists.max():,} of {self.count:,}")
        return PreparedQueries(queries, nprobe, lists, distances)

    def candidates(self, queries: PreparedQueries, count: int, allowed: Selector | None) -> NDArray[np.int64]:
        """Return ``count`` rows of the segment per query, (Q, count), -1 where there are fewer."""
        total = len(queries.vectors)
        rows, distances = np.empty((total, count), np.int64), np.empty((total, count), np.float32)
        parameters = faiss.SearchParametersIVF(nprobe=queries.effort)
        if allowed is not None:
            parameters.sel = allowed.faiss
        with faiss_errors(f"{self._path}: cannot be searched"):
            self._index.search_preassigned_c(
                total,
                _pointer(queries.vectors),
                count,
                _pointer(queries.lists),
                _pointer(queries.distances),
                _pointer(distances),
                _pointer(rows),
                POSITIONS_IN_LISTS,
                parameters,
            )
        if rows.max(initial=-1) >= self._rows:
            raise self._error(f"has row {rows.max():,} of {self._rows:,}")
        return rows

    def list_ranks(self, queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return how many lists are nearer to each query than the list of each of its vectors.

        Parameters
        ----------
        queries : ndarray, float32, (Q, D)
        vectors : ndarray, float32, (Q, k, D)

        Returns
        -------
        ndarray, int64, (Q, k)
        """
        count, k, dim = vectors.shape
        _, order = self._index.quantizer.search(queries, self.count)
        _, own = self._index.quantizer.search(np.ascontiguousarray(vectors.reshape(-1, dim)), 1)
        ranks = np.full((count, self.count + 1), self.count, np.int64)  # the last column: no list
        np.put_along_axis(ranks, np.where(order < 0, self.count, order), np.arange(self.count)[None], axis=1)
        ranks[:, -1] = self.count
        return np.asarray(np.take_along_axis(ranks, own.reshape(count, k), axis=1))

    def emptied(self) -> Any:
        """Return FAISS's index with empty lists in memory. This object finds nothing afterwards."""
        old = faiss.downcast_InvertedLists(self._index.invlists)
        if isinstance(old, faiss.BlockInvertedLists):
            empty = faiss.BlockInvertedLists(old.nlist, old.n_per_block, old.block_size)
        else:
            empty = faiss.ArrayInvertedLists(old.nlist, old.code_size)
        self._index.replace_invlists(empty, own=True)  # `reset` would abort, since the old ones are mapped
        empty.this.disown()
        self._index.ntotal = 0
        return self._index

    def _check(self, dim: int, distance: Distance) -> None:
        index = self._index
        stored = (index.d, index.ntotal, index.metric_type)
        expected = (dim, self._rows, metric_of(distance))
        if stored != expected:
            raise self._error(f"has width, rows and metric {stored}, expected {expected}")
        lists = faiss.downcast_InvertedLists(index.invlists)
        if type(lists).__name__ not in OWN_LISTS:
            raise self._error(f"has {type(lists).__name__}, expected {' or '.join(OWN_LISTS)}")
        coarse = index.quantizer
        sizes = (lists.nlist, coarse.ntotal, coarse.d, lists.compute_ntotal())
        if sizes != (index.nlist, index.nlist, dim, self._rows) or lists.code_size < index.code_size:
            raise self._error(f"its lists do not fit its header: {sizes}")

    def _error(self, problem: str) -> RunError:
        return RunError(f"{self._path}: {problem}; build the index again.")


class Selector:
    """The rows of a segment that may be returned.

    Parameters
    ----------
    allowed : ndarray, bool, (rows,)
    """

    def __init__(self, allowed: NDArray[np.bool_]) -> None:
        self._bits = np.packbits(allowed, bitorder="little")  # FAISS keeps a pointer to it

    @cached_property
    def faiss(self) -> Any:
        """FAISS's selector. Use it only while this object lives."""
        return faiss.IDSelectorBitmap(self._bits)


def metric_of(distance: Distance) -> int:
    """Return FAISS's metric for a distance. Rows have unit norm for cosine."""
    return int(faiss.METRIC_INNER_PRODUCT if distance == "cosine" else faiss.METRIC_L2)


def _pointer(array: NDArray[Any]) -> Any:
    return faiss.swig_ptr(array)
