"""Cost of changing an index, as a share of building it again, and of searches in the changed index."""

from __future__ import annotations

import shutil
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from serve_cli.retrieval.index.build import IndexOptions, build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.update import add_rows, delete_rows, replace_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

REPEATS, K = 3, 10


def measure_updates(
    embeddings: Path, more: Path, replaced: Path, deleted: Sequence[str], work: Path, options: IndexOptions
) -> dict[str, float]:
    """Time changes of an index, and of a build for comparison; medians.

    Parameters
    ----------
    embeddings, more, replaced : Path
        Embedding folders: of the index, of rows to add, and of rows with ids of the index.
    deleted : sequence of str
        Ids of the index.
    work : Path
        An empty folder for indexes.
    options : IndexOptions
        How the index is built.

    Returns
    -------
    dict
        Seconds by step.
    """
    index = work / "built.index"
    start = time.perf_counter()
    build_index(embeddings, index, options)
    seconds = {"build": time.perf_counter() - start}
    changes: dict[str, Callable[[Path], object]] = {
        "add": lambda path: add_rows(path, more),
        "delete": lambda path: delete_rows(path, deleted),
        "replace": lambda path: replace_rows(path, replaced),
    }
    for name, change in changes.items():
        spent = []
        for _ in range(REPEATS):
            copy = work / "changed.index"
            shutil.copytree(index, copy)
            start = time.perf_counter()
            change(copy)
            spent.append(time.perf_counter() - start)
            shutil.rmtree(copy)
        seconds[name] = statistics.median(spent)
    return seconds


def search_seconds(paths: Sequence[Path], queries: np.ndarray, k: int = K) -> list[float]:
    """Return the median seconds of a query in each index; the indexes take turns."""
    indexes = [CatalogIndex.open(path) for path in paths]
    spent: list[list[float]] = [[] for _ in paths]
    for query in np.concatenate([queries[:20], queries]):
        for index, times in zip(indexes, spent, strict=True):
            start = time.perf_counter()
            index.nearest(query[None], k)
            times.append(time.perf_counter() - start)
    return [statistics.median(times[20:]) for times in spent]
