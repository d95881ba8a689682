"""What the benchmarks of all databases share: a catalog in memory and on disk, and ways of loading it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.embeddings.stream import EmbeddedBatch
from serve_cli.sources.image_row import EmbeddedRows, ImageRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gluon_lifted.card import ModelCard

NOISE = 0.1  # of the standard deviation
ROWS_PER_FILE = 50_000


@dataclass(frozen=True)
class Catalog:
    """Embeddings of photographs, repeated with noise: n rows of D numbers, also as an embedding folder."""

    folder: Path
    card: ModelCard
    ids: list[str]
    paths: list[str]
    labels: list[str]
    embedding: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        return self.embedding.shape[1]

    def first(self, rows: int) -> Catalog:
        """The first rows, for ways that are slow; the folder stays whole."""
        texts = {name: getattr(self, name)[:rows] for name in ("ids", "paths", "labels")}
        return replace(self, **texts, embedding=self.embedding[:rows])

    def batches(self, rows: int) -> Iterator[EmbeddedBatch]:
        table = pa.table({"id": self.ids, "path": self.paths, "label": self.labels})
        for start in range(0, len(self), rows):
            yield EmbeddedBatch(table.slice(start, rows), self.embedding[start : start + rows])


@dataclass(frozen=True)
class Way:
    """One way of loading.

    Parameters
    ----------
    name : str
        E.g. ``"executemany"``.
    work : str
        What is compared: ways with equal work form a group, e.g. ``"float32"`` or ``"float32, hnsw"``.
    rows : int
        Rows that `run` loads.
    run : callable
        Loads once, from nothing, and returns the seconds, without what it prepares.
    ours : bool
        Whether this is the project's way; others are the client's loops.
    """

    name: str
    work: str
    rows: int
    run: Callable[[], float]
    ours: bool = False


def make_catalog(source: Path, folder: Path, rows: int, dim: int) -> Catalog:
    """Repeat real embeddings with noise until there are enough rows and numbers in a row."""
    real = read_embeddings(source)
    rng = np.random.default_rng(0)
    chosen = np.resize(np.arange(len(real)), rows)
    repeats = -(-dim // real.card.dim)
    embedding = np.tile(real.embedding[chosen], (1, repeats))[:, :dim]
    embedding = embedding + rng.normal(0, NOISE * real.embedding.std(), embedding.shape).astype(np.float32)
    ids = [f"{real.ids[row]}#{number}" for number, row in enumerate(chosen.tolist())]
    paths = [real.paths[row] for row in chosen.tolist()]
    labels = [real.label_names[row] or "" for row in chosen.tolist()]
    card = replace(real.card, dim=dim)
    plan = Plan("/photos", rows, "i", "p", "c", "f", "m", "CPU", 2, ROWS_PER_FILE)
    written = EmbeddingFolder(folder, plan, card)
    for number, start in enumerate(range(0, rows, ROWS_PER_FILE)):
        part = slice(start, start + ROWS_PER_FILE)
        images = [ImageRow(*row) for row in zip(ids[part], map(Path, paths[part]), labels[part], strict=True)]
        written.write(number, [EmbeddedRows(images, embedding[part], [None] * len(images))])
    written.complete({"model": {"path": "model.onnx", "sha256": "ab" * 32}})
    return Catalog(folder, card, ids, paths, labels, embedding)
