"""Ways of loading into Milvus Lite. Its server runs in this process, and its time counts."""

from __future__ import annotations

import itertools
import time
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from load_ways import Way
from pymilvus import DataType, MilvusClient

from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.retrieval.load.load_options import LoadOptions
from serve_cli.retrieval.load.load_plan import plan_load
from serve_cli.retrieval.load.targets.milvus import MilvusTarget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from load_ways import Catalog

DATABASE = "Milvus Lite"
SLOW_ROWS = 20_000
MESSAGES = (1_000, 5_000)  # rows
_numbers = itertools.count()


@contextmanager
def ways(catalog: Catalog, work: Path) -> Iterator[list[Way]]:
    """Each run has a file of its own."""
    some = catalog.first(SLOW_ROWS)
    client = [Way(f"client: insert, {n:,} rows", "insert", len(some), partial(insert, work, some, n)) for n in MESSAGES]
    yield [*client, Way("ours", "insert", len(some), partial(ours, work, some), ours=True)]


def insert(work: Path, catalog: Catalog, message: int) -> float:
    client = MilvusClient(str(work / f"{next(_numbers)}.db"))
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, max_length=65_535, is_primary=True)
    for name in ("path", "label"):
        schema.add_field(name, DataType.VARCHAR, max_length=65_535, nullable=True)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=catalog.dim)
    client.create_collection("peer", schema=schema)
    names = ("id", "path", "label", "embedding")
    began = time.perf_counter()
    for start in range(0, len(catalog), message):
        part = slice(start, start + message)
        values = (catalog.ids[part], catalog.paths[part], catalog.labels[part], catalog.embedding[part])
        client.insert("peer", [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)])
    seconds = time.perf_counter() - began
    client.close()
    return seconds


def ours(work: Path, catalog: Catalog) -> float:
    url = f"milvus://{work}/{next(_numbers)}.db"
    options = LoadOptions(catalog.folder, url, table="ours", dtype="float32", index="flat")
    plan = plan_load(EmbeddingStream(catalog.folder), options, MilvusTarget, 0)
    with closing(MilvusTarget(url, plan)) as target:
        target.preview()
        target.prepare()
        began = time.perf_counter()
        for number, batch in enumerate(catalog.batches(MilvusTarget.batch_rows)):
            target.write(batch, number)
        return time.perf_counter() - began
