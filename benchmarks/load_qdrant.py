"""Ways of loading into Qdrant: the client's local mode in memory, since no server is in a package registry."""

from __future__ import annotations

import time
import uuid
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from load_ways import Way
from qdrant_client import QdrantClient, models

from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.retrieval.load.load_options import LoadOptions
from serve_cli.retrieval.load.load_plan import plan_load
from serve_cli.retrieval.load.targets.qdrant import QdrantTarget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from load_ways import Catalog

DATABASE = "Qdrant, local mode"
SLOW_ROWS = 10_000
URL = "qdrant:///in-memory"


class MemoryTarget(QdrantTarget):
    """In memory instead of a folder, where each row is synced to disk."""

    def _client(self) -> QdrantClient:
        self._connected = self._connected or QdrantClient(":memory:")
        return self._connected


@contextmanager
def ways(catalog: Catalog, work: Path) -> Iterator[list[Way]]:
    """Each run has a memory of its own."""
    some = catalog.first(SLOW_ROWS)
    client = [
        Way(f"client: upload_collection, {n}", "float32", len(some), partial(upload, some, n)) for n in (64, 1_000)
    ]
    yield [*client, Way("ours", "float32", len(some), partial(ours, some), ours=True)]


def upload(catalog: Catalog, request: int) -> float:
    client = QdrantClient(":memory:")
    client.create_collection("peer", models.VectorParams(size=catalog.dim, distance=models.Distance.EUCLID))
    began = time.perf_counter()
    names = ("id", "path", "label")
    texts = zip(catalog.ids, catalog.paths, catalog.labels, strict=True)
    client.upload_collection(
        "peer",
        vectors=catalog.embedding,
        payload=(dict(zip(names, row, strict=True)) for row in texts),
        ids=(str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in catalog.ids),
        batch_size=request,
        wait=True,
    )
    return time.perf_counter() - began


def ours(catalog: Catalog) -> float:
    options = LoadOptions(catalog.folder, URL, table="ours", dtype="float32", index="none")
    plan = plan_load(EmbeddingStream(catalog.folder), options, QdrantTarget, 0)
    with closing(MemoryTarget(URL, plan)) as target:
        target.prepare()
        began = time.perf_counter()
        for number, batch in enumerate(catalog.batches(QdrantTarget.batch_rows)):
            target.write(batch, number)
        return time.perf_counter() - began
