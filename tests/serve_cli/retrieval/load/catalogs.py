"""Embedding folders with columns of chosen types."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.sources.image_row import Cell, EmbeddedRows, ImageRow
from tests.serve_cli.retrieval.index.catalogs import card


def drawn(rows, dim=4, seed=0):
    """Vectors, (rows, dim)."""
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def write_columns(folder, vectors, table, sha256="ab" * 32, source="/photos", label=None):
    """Row i has id ``i.jpg`` and the values of the table."""
    count, dim = vectors.shape
    arrays = {name: table[name].combine_chunks() for name in table.column_names}
    rows = [
        ImageRow(f"{i}.jpg", Path(f"/photos/{i}.jpg"), label, extra={n: Cell(a, i) for n, a in arrays.items()})
        for i in range(count)
    ]
    plan = Plan(source, count, "i", "p", "c", "f", "m", "CPU", 2, max(count, 1))
    written = EmbeddingFolder(folder, plan, card(dim), table.schema)
    written.write(0, [EmbeddedRows(rows, vectors, [None] * count)])
    written.complete({"model": {"path": "/models/tiny.onnx", "sha256": sha256}})
    return folder


def plain(vectors, **options):
    """A folder without further columns."""
    folder = options.pop("folder")
    return write_columns(folder, vectors, pa.table({"n": pa.array(range(len(vectors)))}), **options)
