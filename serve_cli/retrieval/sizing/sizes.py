"""Bytes of parquet, indexes and database memory, from their layouts."""

from __future__ import annotations

import math

from serve_cli.retrieval.index.layout import EXACT
from serve_cli.retrieval.index.plan import LIST_COUNT, ROW_BYTES, code_bytes

PARQUET_NUMBER = {"float32": 4, "float16": 2, "int8": 1.5}  # parquet holds int8 as int32: zstd leaves 1.45 bytes
LABEL = 8  # a row number in FAISS's inverted lists, int64
FLOAT = 4
QDRANT_FACTOR = 1.5  # https://qdrant.tech/documentation/guides/capacity-planning
HNSW_M = 16  # links per node and layer: pgvector's default, and Qdrant's
LINK = 4  # bytes of a link in Milvus's HNSW, which is hnswlib's
PAGE, PAGE_ROOM, ITEM = 8192, 8160, 4  # PostgreSQL's page, what is free in it, and the pointer to an item
ELEMENT, NEIGHBORS, POINTER = 84, 4, 6  # pgvector's hnsw.h: an element without its numbers, and a list's head


def parquet_bytes(rows: int, dim: int, dtype: str) -> int:
    """Estimate the size of an embedding folder. Compression, which gains little on embeddings, is left out."""
    scale = FLOAT if dtype == "int8" else 0
    return int(rows * (dim * PARQUET_NUMBER[dtype] + scale + ROW_BYTES))


def searched_bytes(kind: str, rows: int, dim: int) -> int:
    """Estimate what searches read of an index: all vectors if it is exact, else centroids and codes."""
    if kind == EXACT:
        return rows * dim * FLOAT
    lists = LIST_COUNT.match(kind)
    centroids = int(lists[1]) * dim * FLOAT if lists else 0
    return centroids + rows * (code_bytes(kind, dim) + LABEL)


def folder_bytes(kind: str, rows: int, dim: int) -> int:
    """Estimate an index on the disk: float32 vectors, ids, paths and labels, and FAISS's file unless it is exact."""
    kept = rows * (dim * FLOAT + ROW_BYTES)
    return kept if kind == EXACT else kept + searched_bytes(kind, rows, dim)


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
