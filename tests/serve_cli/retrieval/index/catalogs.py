"""Embedding folders with given vectors, and an oracle of plain loops."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli.tiny_model import CARD

PRICE = pa.schema([pa.field("price", pa.int64())])


def card(dim, distance="euclidean"):
    return replace(CARD, dim=dim, distance=distance)


def write_embeddings(
    folder, vectors, ids=None, distance="euclidean", dtype="float32", failed=(), rows_per_file=1000, carried=PRICE
):
    """Row i has id ``i.jpg``, label ``i % 3`` and price ``i``; rows in ``failed`` have an error."""
    count, dim = vectors.shape
    ids = ids or [f"{i}.jpg" for i in range(count)]
    rows = [
        ImageRow(name, Path(f"/photos/{name}"), f"class {i % 3}", extra=dict.fromkeys(carried.names, i))
        for i, name in enumerate(ids)
    ]
    errors = [f"{i}: broken" if i in failed else None for i in range(count)]
    embedding = np.array(vectors, np.float32)
    embedding[list(failed)] = np.nan
    plan = Plan("/photos", count, "i", "p", "c", "f", "m", "CPU", 2, rows_per_file, dtype=dtype)
    written = EmbeddingFolder(folder, plan, card(dim, distance), carried)
    for number, start in enumerate(range(0, count, rows_per_file)):
        part = slice(start, start + rows_per_file)
        written.write(number, [EmbeddedRows(rows[part], embedding[part], errors[part])])
    written.complete({"model": {"path": "/models/tiny.onnx", "sha256": "ab" * 32}})
    return folder


def plain_nearest(vectors, queries, k, distance="euclidean", allowed=None):
    """Rows and distances of the k nearest of each query, by Python's floats."""
    results = []
    for query in queries.tolist():
        pairs = []
        for row, vector in enumerate(vectors.tolist()):
            if allowed is not None and row not in allowed:
                continue
            if distance == "euclidean":
                apart = math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(query, vector, strict=True)))
            else:
                norms = math.hypot(*query) * math.hypot(*vector)
                apart = 1 - math.fsum(x * y for x, y in zip(query, vector, strict=True)) / norms
            pairs.append((apart, row))
        results.append(sorted(pairs)[:k])
    return results
