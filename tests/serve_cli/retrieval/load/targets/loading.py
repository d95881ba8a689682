"""Made-up catalogs, and a load without what surrounds the target."""

from __future__ import annotations

import hashlib
from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from serve_cli.embeddings.stream import EmbeddedBatch
from serve_cli.retrieval.load.target import LoadPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DAY = datetime(2024, 2, 29, 12, 30, tzinfo=timezone.utc)


class InterruptedLoadError(Exception):
    """Stands for a process that ends in the middle of a load."""


def catalog(rows: int, dim: int = 8, seed: int = 0) -> tuple[pa.Table, NDArray[np.float32]]:
    """Rows with quotes, a backslash and an umlaut in their ids; every third has no price."""
    embedding = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    table = pa.table(
        {
            "id": [f"tür/'{i}'\\\".jpg" for i in range(rows)],
            "path": [f"/photos/{i}.jpg" for i in range(rows)],
            "label": pa.array([None if i == 1 else f"class {i % 3}" for i in range(rows)], pa.string()),
            "price": pa.array([None if i % 3 == 2 else i / 4 for i in range(rows)], pa.float64()),
            "stock": pa.array(range(rows), pa.int16()),
            "sold": pa.array([i % 2 == 0 for i in range(rows)]),
            "taken": pa.array([DAY] * rows, pa.timestamp("us", "UTC")),
        }
    )
    return table, embedding


def plan_of(rows: pa.Table, embedding: NDArray[np.float32], **options: object) -> LoadPlan:
    """A plan whose fingerprint changes with the rows."""
    content = hashlib.sha256(embedding.tobytes() + str(rows.to_pydict()).encode()).hexdigest()
    fields = {
        "table": "cars",
        "schema": rows.schema,
        "dim": embedding.shape[1],
        "distance": "euclidean",
        "dtype": "float32",
        "index": "none",
        "rows": len(rows),
        "batch_rows": 100,
        "row_bytes": 80,
        "fingerprint": content,
        "model": "ab" * 32,
        "source": "/photos",
    }
    return LoadPlan(**{**fields, **options})


def batches(plan: LoadPlan, table: pa.Table, embedding: NDArray[np.float32]) -> list[EmbeddedBatch]:
    """Rows in batches."""
    starts = range(0, plan.rows, plan.batch_rows)
    size = plan.batch_rows
    return [EmbeddedBatch(table.slice(start, size), embedding[start : start + size]) for start in starts]


def load(
    kind: type, url: str, plan: LoadPlan, data: tuple[pa.Table, NDArray[np.float32]], stop: int | None = None
) -> list[int]:
    """Load as `load_embeddings` does; return the numbers of the batches that were written.

    ``stop`` is the batch before which the load is interrupted.
    """
    with closing(kind(url, plan)) as target:
        if target.preview().complete:
            return []
        target.prepare()
        written = write_all(target, plan, data, stop)
        target.build_index()
        assert target.count() == plan.rows
        target.switch()
    return written


def write_all(target, plan: LoadPlan, data: tuple[pa.Table, NDArray[np.float32]], stop: int | None = None) -> list[int]:
    """Write the batches that are missing."""
    written = []
    for number, batch in enumerate(batches(plan, *data)):
        if target.loaded(batch, number):
            continue
        if number == stop:
            raise InterruptedLoadError
        target.write(batch, number)
        written.append(number)
    return written


def nearest(embedding: NDArray[np.float32], query: NDArray[np.float32], distance: str, k: int = 10) -> list[int]:
    """Rows by distance, in float64."""
    rows, point = embedding.astype(np.float64), query.astype(np.float64)
    if distance == "cosine":
        rows, point = rows / np.linalg.norm(rows, axis=1, keepdims=True), point / np.linalg.norm(point)
    return np.argsort(((rows - point) ** 2).sum(1), kind="stable")[:k].tolist()


def ids(data: tuple[pa.Table, NDArray[np.float32]], rows: Sequence[int]) -> list[str]:
    """The ids of some rows."""
    return [data[0]["id"][row].as_py() for row in rows]
