"""A catalog of random rows with duplicates among them, and what a search of it returns by plain loops."""

import numpy as np
import pyarrow as pa

from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.retrieval.index.build import build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli.retrieval.index.catalogs import card, plain_nearest

DIM = 4
CARRIED = pa.schema([("price", pa.int64()), ("brand", pa.string()), ("sha256", pa.string())])


def made_catalog(folder, rows=60, distance="euclidean", seed=0):
    """Row i costs i, or nothing is known if i % 7 == 0; rows 30 to 34 are almost row 3, 40 has the hash of row 4."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows, DIM)).astype(np.float32)
    vectors[30:35] = vectors[3]
    vectors[30:35, 0] += 2e-4 * np.arange(1, 6)
    hashes = [f"{number:064x}" for number in range(rows)]
    hashes[40] = hashes[4]
    images = [
        ImageRow(
            f"{i}.jpg",
            f"/photos/{i}.jpg",
            f"class {i % 3}",
            extra={"price": i if i % 7 else None, "brand": "xyz"[i % 3], "sha256": hashes[i]},
        )
        for i in range(rows)
    ]
    plan = Plan("/photos", rows, "i", "p", "c", "f", "m", "CPU", 2, 1000)
    written = EmbeddingFolder(folder / "embeddings", plan, card(DIM, distance), CARRIED)
    written.write(0, [EmbeddedRows(images, vectors, [None] * rows)])
    written.complete({"model": {"file": "/models/tiny.onnx", "sha256": "ab" * 32}})
    build_index(folder / "embeddings", folder / "catalog.index")
    return CatalogIndex.open(folder / "catalog.index"), vectors, hashes


def plain_search(vectors, query, k, distance, *, hashes=None, allowed=None, limit=None):
    """Rows and distances; ``hashes`` are given where duplicates collapse."""
    pairs = plain_nearest(vectors, query[None], len(vectors), distance, allowed)[0]
    kept = []
    for apart, row in pairs:
        if limit is not None and apart > limit:
            break
        if hashes is None or not any(hashes[row] == hashes[other] or same(vectors, row, other) for _, other in kept):
            kept.append((apart, row))
    return [row for _, row in kept[:k]], [apart for apart, _ in kept[:k]]


def same(vectors, row, other):
    difference = sum((a - b) ** 2 for a, b in zip(vectors[row].tolist(), vectors[other].tolist(), strict=True)) ** 0.5
    norms = [sum(a * a for a in vectors[number].tolist()) ** 0.5 for number in (row, other)]
    return difference <= 1e-3 * max(norms)
