"""Ways of loading into LanceDB, in a folder."""

from __future__ import annotations

import shutil
import time
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import BTree, IvfSq
from load_ways import Way

from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.retrieval.load.load_options import LoadOptions
from serve_cli.retrieval.load.load_plan import plan_load
from serve_cli.retrieval.load.targets.lancedb import LanceTarget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from load_ways import Catalog

DATABASE = "LanceDB"
NUMBERS = {"float32": np.float32, "float16": np.float16}


@contextmanager
def ways(catalog: Catalog, work: Path) -> Iterator[list[Way]]:
    """All in one folder, which each way empties first."""
    yield list(_ways(catalog, work / "db"))


def _ways(catalog: Catalog, folder: Path) -> Iterator[Way]:
    rows = len(catalog)
    for dtype in NUMBERS:
        yield Way("client: create_table", dtype, rows, partial(create, folder, catalog, dtype))
        yield Way("client: add", dtype, rows, partial(add, folder, catalog, dtype))
        yield Way("ours: staged batches", dtype, rows, partial(ours, folder, catalog, dtype), ours=True)
    yield Way("client: add, optimize", "ivf_sq", rows, partial(add, folder, catalog, "float32", indexed=True))
    yield Way(
        "ours: all but reading", "ivf_sq", rows, partial(ours, folder, catalog, "float32", indexed=True), ours=True
    )


def arrow(catalog: Catalog, dtype: str) -> Iterator[pa.Table]:
    for batch in catalog.batches(LanceTarget.batch_rows):
        vectors = pa.array(batch.embedding.astype(NUMBERS[dtype]).ravel())
        yield batch.table.append_column("embedding", pa.FixedSizeListArray.from_arrays(vectors, catalog.dim))


def empty(folder: Path) -> lancedb.DBConnection:
    shutil.rmtree(folder, ignore_errors=True)
    return lancedb.connect(folder)


def create(folder: Path, catalog: Catalog, dtype: str) -> float:
    database = empty(folder)
    began = time.perf_counter()
    tables = arrow(catalog, dtype)
    first = next(tables)
    parts = (batch for table in [first, *tables] for batch in table.to_batches())
    database.create_table("peer", pa.RecordBatchReader.from_batches(first.schema, parts))
    return time.perf_counter() - began


def add(folder: Path, catalog: Catalog, dtype: str, *, indexed: bool = False) -> float:
    database = empty(folder)
    began = time.perf_counter()
    tables = arrow(catalog, dtype)
    table = database.create_table("peer", next(tables))
    for part in tables:
        table.add(part)
    if indexed:
        table.optimize()
        table.create_index("id", config=BTree())
        table.create_index("embedding", config=IvfSq(distance_type="l2"))
    return time.perf_counter() - began


def ours(folder: Path, catalog: Catalog, dtype: str, *, indexed: bool = False) -> float:
    url = f"lancedb://{folder}"
    options = LoadOptions(catalog.folder, url, table="ours", dtype=dtype, index="ivf_sq" if indexed else "none")
    plan = plan_load(EmbeddingStream(catalog.folder), options, LanceTarget, 0)
    empty(folder)
    with closing(LanceTarget(url, plan)) as target:
        target.preview()
        began = time.perf_counter()
        target.prepare()
        for number, batch in enumerate(catalog.batches(LanceTarget.batch_rows)):
            target.write(batch, number)
        if indexed:
            target.build_index()
            target.switch()
        return time.perf_counter() - began
