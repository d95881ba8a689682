"""Rows with embeddings that can be told apart, and folders of them."""

from pathlib import Path

import numpy as np

from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.sources.image_row import EmbeddedRows, ImageRow, regroup
from tests.serve_cli.tiny_model import CARD


def batches(*sizes, bad=(), dim=CARD.dim):
    """Row i has embedding [i, i + 0.25, ...], id ``i.jpg`` and label ``i % 3``; rows in ``bad`` have errors."""
    start = 0
    for size in sizes:
        numbers = range(start, start + size)
        rows = [ImageRow(f"{i}.jpg", Path(f"/photos/{i}.jpg"), f"class {i % 3}") for i in numbers]
        embedding = np.array(numbers, np.float32)[:, None] + np.arange(dim, dtype=np.float32) / 4
        errors = [f"{i}.jpg: broken" if i in bad else None for i in numbers]
        embedding[[i in bad for i in numbers]] = np.nan
        yield EmbeddedRows(rows, embedding.reshape(size, dim), errors)
        start += size


def write_folder(folder, found, rows_per_file=100, card=CARD, about=None, dtype="float32", source="/photos"):
    """An embedding folder of the rows of some batches; returns what `EmbeddingFolder.complete` does."""
    rows = list(found)
    count = sum(len(one.rows) for one in rows)
    plan = Plan(
        str(source),
        count,
        "ids",
        "paths",
        "carried",
        "files",
        "model",
        "CPUExecutionProvider",
        2,
        rows_per_file,
        dtype=dtype,
    )
    written = EmbeddingFolder(folder, plan, card)
    for number, part in enumerate(regroup(rows, rows_per_file)):
        written.write(number, [part], group_rows=2)
    return written.complete(about or {})
