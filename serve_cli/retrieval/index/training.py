"""Train inverted lists on a sample, and encode segments with them block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import ConfigError
from gluon_lifted.files import replaced_file
from gluon_lifted.progress import open_progress
from serve_cli.retrieval.index.approximate_search import open_proposals
from serve_cli.retrieval.index.faiss_library import faiss, faiss_errors
from serve_cli.retrieval.index.graph import hnsw_of
from serve_cli.retrieval.index.inverted_lists import metric_of
from serve_cli.retrieval.index.layout import FAISS
from serve_cli.retrieval.index.plan import ITERATIONS, POINTS_PER_LIST
from serve_cli.retrieval.index.segment import BLOCK_ROWS
from serve_cli.retrieval.index.threads import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gluon_lifted.metrics.choices import Distance
    from serve_cli.retrieval.index.segment import Segment

GRAPH_SAMPLE = 20_000  # training rows of a graph's transform and codes
SEED = 1234


def new_faiss_index(factory: str, dim: int, distance: Distance) -> Any:
    """Build an untrained FAISS index. Raises `ConfigError` unless ``factory`` describes inverted lists or a graph."""
    metric = faiss.METRIC_L2 if "HNSW" in factory and "IVF" not in factory else metric_of(distance)
    try:
        index = faiss.index_factory(dim, factory, metric)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()).rpartition(": ")[2]  # after the place in FAISS's source
        raise ConfigError(
            f"FAISS cannot build {factory!r:.100} for {dim} columns ({reason:.200}); give a factory string such as "
            "IVF1024,Flat."
        ) from None
    try:
        if isinstance(index, faiss.IndexIVF):
            _check_lists(index)
        else:
            hnsw_of(index)
    except TypeError as error:
        raise ConfigError(
            f"--factory {factory!r:.100} {error}; give one that starts with inverted lists, such as IVF1024,PQ32x4fs, "
            "or a graph such as PCA64,HNSW16_SQ8."
        ) from None
    return index


def _check_lists(index: Any) -> None:
    """Raise `TypeError` for kinds whose files `check_faiss_file` does not know."""
    known = (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ, faiss.IndexIVFPQFastScan)
    if type(index) not in known:
        raise TypeError(f"is {type(index).__name__}, expected lists of flat, SQ or PQ vectors")
    centroids = faiss.downcast_index(index.quantizer)
    if not isinstance(centroids, (faiss.IndexFlat, faiss.IndexHNSWFlat)):
        raise TypeError(f"has centroids in {type(centroids).__name__}, expected flat ones or HNSW")


def sample_rows(segments: Sequence[Segment], count: int) -> NDArray[np.float32]:
    """Draw vectors of all segments, (count, D) or all if there are fewer, the same for equal indexes."""
    total = sum(segment.rows for segment in segments)
    generator = np.random.default_rng(SEED)
    rows = np.sort(generator.choice(total, count, replace=False)) if count < total else np.arange(total)
    parts = [
        segment.vectors(rows[(segment.first <= rows) & (rows < segment.first + segment.rows)] - segment.first)
        for segment in segments
    ]
    return np.concatenate(parts)


def train(index: Any, segments: Sequence[Segment]) -> None:
    """Train an index on a sample. Raises `ConfigError` if there are fewer rows than lists."""
    lists = isinstance(index, faiss.IndexIVF)
    sample = sample_rows(segments, POINTS_PER_LIST * index.nlist if lists else GRAPH_SAMPLE)
    with open_progress("train", len(sample), unit="rows") as progress, faiss_errors("FAISS cannot train the index"):
        if lists:
            _train_lists(index, sample, sum(segment.rows for segment in segments))
        with threads(1):  # codes are trained in many short steps, and waiting threads slow them down
            index.train(sample)
        progress.update(len(sample))


def _train_lists(index: Any, sample: NDArray[np.float32], total: int) -> None:
    if total < index.nlist:
        raise ConfigError(
            f"{index.nlist:,} lists need at least as many rows, but there are {total:,}; give a --factory with fewer "
            "lists."
        )
    index.cp.niter, index.cp.seed = ITERATIONS, SEED
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, POINTS_PER_LIST
    index.train_q1(len(sample), faiss.swig_ptr(sample), index.verbose, index.metric_type)


def encode(index: Any, segment: Segment) -> int:
    """Encode all rows of a segment with a trained, empty index. Write its FAISS file and return the file's size."""
    with open_progress("encode", segment.rows, unit="rows") as progress, faiss_errors("FAISS cannot add rows"):
        for start in range(0, segment.rows, BLOCK_ROWS):
            rows = np.arange(start, min(start + BLOCK_ROWS, segment.rows))
            index.add(segment.vectors(rows))
            progress.update(start + len(rows))
    path = segment.folder / FAISS
    with replaced_file(path) as temporary, faiss_errors(f"{path}: cannot be written"):
        faiss.write_index(index, str(temporary))
    index.reset()
    return path.stat().st_size


def trained_index(segment: Segment, distance: Distance) -> Any:
    """Open the FAISS file of a segment, without its rows, to encode more rows alike. Raises `RunError`."""
    return open_proposals(segment, distance).emptied()
