"""The FAISS file of a segment: a graph (HNSW) that proposes candidates. The file may be damaged or hostile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import RunError
from serve_cli.retrieval.index.faiss_library import faiss, faiss_errors
from serve_cli.retrieval.index.inverted_lists import PreparedQueries
from serve_cli.retrieval.index.layout import FAISS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from serve_cli.retrieval.index.inverted_lists import Selector
    from serve_cli.retrieval.index.layout import SearchParameters, SegmentRecord

TUNED_K = 10  # the beam is tuned for as many neighbors


class Graph:
    """Proposes candidates from a segment's FAISS file, which is HNSW after an optional linear transform.

    FAISS checks the graph's row numbers when it reads the file. Squared Euclidean distances order candidates for both
    distances, since the vectors have unit norm for cosine.

    Parameters
    ----------
    folder : Path
        The segment.
    record : SegmentRecord
        What ``index.json`` says about it.
    dim : int
        Width D of the vectors.

    Raises
    ------
    RunError
        If the file is damaged, or does not match ``index.json``.
    """

    def __init__(self, folder: Path, record: SegmentRecord, dim: int) -> None:
        self._path, self._rows = folder / FAISS, record.rows
        self.count = max(record.rows, 1)
        with faiss_errors(f"{self._path}: cannot be read; build the index again"):
            self._index = faiss.read_index(str(self._path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
            self._transform, self._hnsw = hnsw_of(self._index)
            self._check(dim)
        self.fixed = f"a graph of {self._hnsw.d} columns"  # what all segments share

    def effort(self, search: SearchParameters, k: int, share: float | None) -> tuple[int, int]:
        """Return the width of the beam and the number of candidates, if only a share of the rows may be returned."""
        more = max(1.0, k / TUNED_K)
        if share is None:
            width = math.ceil(search.effort * more)
            return width, max(width, k)
        width = math.ceil(search.filtered_effort * more)
        return math.ceil(width / share), max(width, k)

    def prepare(self, queries: NDArray[np.float32], width: int) -> PreparedQueries:
        """Transform queries. All segments of an index have the same transform."""
        vectors = queries
        if self._transform is not None:
            vectors = np.empty((len(queries), self._hnsw.d), np.float32)
            with faiss_errors(f"{self._path}: cannot be searched"):
                self._transform.apply_noalloc(len(queries), faiss.swig_ptr(queries), faiss.swig_ptr(vectors))
        return PreparedQueries(vectors, width)

    def candidates(self, queries: PreparedQueries, count: int, allowed: Selector | None) -> NDArray[np.int64]:
        """Return ``count`` rows of the segment per query, (Q, count), -1 where there are fewer."""
        total = len(queries.vectors)
        rows, distances = np.empty((total, count), np.int64), np.empty((total, count), np.float32)
        parameters = faiss.SearchParametersHNSW(efSearch=min(queries.effort, self.count))
        if allowed is not None:
            parameters.sel = allowed.faiss
        with faiss_errors(f"{self._path}: cannot be searched"):
            self._hnsw.search_c(
                total,
                faiss.swig_ptr(queries.vectors),
                count,
                faiss.swig_ptr(distances),
                faiss.swig_ptr(rows),
                parameters,
            )
        if rows.max(initial=-1) >= self._rows:
            raise self._error(f"has row {rows.max():,} of {self._rows:,}")
        return rows

    def emptied(self) -> Any:
        """Return FAISS's index without its rows, in memory."""
        with faiss_errors(f"{self._path}: cannot be read; build the index again"):
            index = faiss.read_index(str(self._path))
        index.reset()
        return index

    def _check(self, dim: int) -> None:
        hnsw = self._hnsw
        storage = faiss.downcast_index(hnsw.storage)
        if not isinstance(storage, (faiss.IndexFlat, faiss.IndexScalarQuantizer)):
            raise self._error(f"stores vectors in {type(storage).__name__}, expected flat or scalar-quantized ones")
        transformed = hnsw.d if self._transform is None else self._transform.d_out
        stored = (self._index.d, self._index.ntotal, hnsw.ntotal, storage.ntotal, hnsw.d, storage.d, hnsw.metric_type)
        expected = (dim, self._rows, self._rows, self._rows, transformed, transformed, faiss.METRIC_L2)
        if stored != expected or storage.codes.size() != self._rows * storage.code_size:
            raise self._error(f"has widths, rows and metric {stored}, expected {expected}")
        transform = self._transform
        if transform is not None and (transform.d_in, transform.A.size()) != (dim, dim * transform.d_out):
            raise self._error(f"has a transform of width {transform.d_in}, expected {dim}")

    def _error(self, problem: str) -> RunError:
        return RunError(f"{self._path}: {problem}; build the index again.")


def hnsw_of(index: Any) -> tuple[Any | None, Any]:
    """Return the linear transform of FAISS's index, if it has one, and its graph. Raises `TypeError` otherwise."""
    transform, inner = None, index
    if isinstance(index, faiss.IndexPreTransform):
        inner = faiss.downcast_index(index.index)
        transform = faiss.downcast_VectorTransform(index.chain.at(0)) if index.chain.size() == 1 else None
        if not isinstance(transform, faiss.LinearTransform):
            raise TypeError("has a transform that is not linear, or several")
    if not isinstance(inner, (faiss.IndexHNSWFlat, faiss.IndexHNSWSQ)):
        raise TypeError(f"is {type(inner).__name__}, expected HNSW of flat or scalar-quantized vectors")
    return transform, inner
