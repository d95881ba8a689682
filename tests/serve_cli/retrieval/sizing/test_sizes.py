"""Sizes by formula against files that libraries write, and against what a PostgreSQL server reported."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve_cli.embeddings.parquet_format import ParquetPartWriter
from serve_cli.retrieval.index.build import build_index
from serve_cli.retrieval.sizing import sizes
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli.retrieval.index.catalogs import write_embeddings
from tests.serve_cli.tiny_model import CARD

# pg_relation_size / rows of an HNSW index with m = 16: PostgreSQL 18.6, pgvector 0.8.6, 1,000 to 5,000 random rows
PGVECTOR = [
    (8, 4, 335.9),
    (32, 4, 435.8),
    (64, 2, 437.5),
    (128, 4, 837.6),
    (512, 4, 2734.1),
    (512, 2, 1368.1),
    (1024, 4, 8196.1),
    (2000, 4, 16392.2),
]


@pytest.mark.parametrize(("dim", "number_bytes", "measured"), PGVECTOR)
def test_pgvector_is_within_three_percent_of_a_server(dim, number_bytes, measured):
    assert sizes.pgvector_bytes(100_000, dim, number_bytes) / 100_000 == pytest.approx(measured, rel=0.03)


@pytest.mark.parametrize("codes", ["Flat", "SQ8", "PQ16x4fs"])
def test_searches_read_what_faiss_writes(codes):
    faiss = pytest.importorskip("faiss")
    rows, dim, kind = 3000, 32, f"IVF8,{codes}"
    index = faiss.index_factory(dim, kind)
    vectors = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)
    index.cp.niter = 1
    index.train(vectors)
    index.add(vectors)
    written = len(faiss.serialize_index(index))
    assert sizes.searched_bytes(kind, rows, dim) == pytest.approx(written, rel=0.08)  # codes come in blocks of 32 rows


def test_a_folder_is_as_large_as_estimated(tmp_path):
    rows, dim = 500, 256
    write_embeddings(tmp_path / "embeddings", np.random.default_rng(0).normal(size=(rows, dim)))
    build_index(tmp_path / "embeddings", tmp_path / "catalog.index")
    written = sum(path.stat().st_size for path in tmp_path.glob("catalog.index/**/*") if path.is_file())
    assert sizes.folder_bytes("exact", rows, dim) == pytest.approx(written, rel=0.08)  # ids and paths are assumed


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_parquet_is_a_close_upper_bound(dtype, tmp_path):
    """Random numbers hardly compress. Ids and paths take at most 100 bytes, and few where they repeat."""
    rows, dim = 3000, 256
    embedding = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)
    images = [ImageRow(f"{i}.jpg", Path(f"/photos/{i}.jpg"), "car") for i in range(rows)]
    writer = ParquetPartWriter(tmp_path, replace(CARD, dim=dim), dtype, None)
    writer.write(0, [EmbeddedRows(images, embedding, [None] * rows)], lambda: None)
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert 0.6 * sizes.parquet_bytes(rows, dim, dtype) < written < sizes.parquet_bytes(rows, dim, dtype)
