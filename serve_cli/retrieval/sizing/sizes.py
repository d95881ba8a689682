"""Bytes of parquet, indexes and database memory, from their layouts."""

from __future__ import annotations

import math

PARQUET_NUMBER = {"float32": 4, "float16": 2, "int8": 1.5}  # parquet holds int8 as int32: zstd leaves 1.45 bytes
TEXT_BYTES = 100  # assumed for id, path and label of a row; carried columns add their own
LABEL = 8  # a row number in FAISS's inverted lists, int64
FLOAT = 4
EXACT_ROWS = 50_000  # up to here, indexes compare all rows
LISTS_PER_ROOT = 2  # inverted lists over the square root of the rows
TRAINING_ROWS = 256  # per list: the most that k-means uses
QDRANT_FACTOR = 1.5  # https://qdrant.tech/documentation/guides/capacity-planning
HNSW_M = 16  # links per node and layer: pgvector's default, and Qdrant's
LINK = 4  # bytes of a link in Milvus's HNSW, which is hnswlib's
PAGE, PAGE_ROOM, ITEM = 8192, 8160, 4  # PostgreSQL's page, what is free in it, and the pointer to an item
ELEMENT, NEIGHBORS, POINTER = 84, 4, 6  # pgvector's hnsw.h: an element without its numbers, and a list's head


def parquet_bytes(rows: int, dim: int, dtype: str) -> int:
    """Estimate the size of an embedding folder. Compression, which gains little on embeddings, is left out."""
    scale = FLOAT if dtype == "int8" else 0
    return int(rows * (dim * PARQUET_NUMBER[dtype] + scale + TEXT_BYTES))


def vectors_bytes(rows: int, dim: int, dtype: str) -> int:
    """Estimate what an index keeps to compute exact distances: float16 for float16, else float32."""
    return rows * dim * (2 if dtype == "float16" else FLOAT)


def rows_bytes(rows: int) -> int:
    """Estimate ids, paths and labels in an index."""
    return rows * TEXT_BYTES


def lists_of(rows: int) -> int:
    """Return the number of inverted lists: the power of two nearest to twice the square root of the rows."""
    return int(2 ** round(math.log2(LISTS_PER_ROOT * math.sqrt(rows))))


def ivf_bytes(rows: int, dim: int, number_bytes: int) -> int:
    """Estimate an IVF file: centroids, and for each row its numbers and its label."""
    return lists_of(rows) * dim * FLOAT + rows * (dim * number_bytes + LABEL)


def training_bytes(rows: int, dim: int) -> int:
    """Return the size of the sample that k-means is trained on."""
    return min(rows, TRAINING_ROWS * lists_of(rows)) * dim * FLOAT


def build_work(rows: int, dim: int, lists: int) -> float:
    """Count the multiplications of an IVF build: ten rounds of k-means on the sample, then one pass over all rows."""
    return float((10 * min(rows, TRAINING_ROWS * lists) + rows) * lists * dim)


def qdrant_bytes(rows: int, dim: int) -> int:
    """Estimate Qdrant's memory by its own rule."""
    return int(rows * dim * FLOAT * QDRANT_FACTOR)


def milvus_bytes(rows: int, dim: int) -> int:
    """Estimate Milvus's HNSW: float32 vectors, and two times M links in the lowest layer, where almost all are."""
    return rows * (dim * FLOAT + 2 * HNSW_M * LINK)


def pgvector_bytes(rows: int, dim: int, number_bytes: int) -> int:
    """Estimate pgvector's HNSW index: per row an element and its neighbors, neither of which is split over pages."""
    element = _aligned(ELEMENT + dim * number_bytes) + ITEM
    neighbors = _aligned(NEIGHBORS + 2 * HNSW_M * POINTER) + ITEM
    per_page = PAGE_ROOM // (element + neighbors)
    return PAGE * (math.ceil(rows / per_page) if per_page else 2 * rows)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8
