"""From a number of rows to hours, bytes and engines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.errors import ConfigError
from serve_cli.retrieval.sizing import rates, sizes

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_cli.choices import Dtype
    from serve_cli.retrieval.sizing.rates import LoadRate

MEMORY_SHARE = 0.75  # of a host, for the index; the system, queries and rows take the rest
MOST_ROWS, MOST_DIM = 10**12, 2**16
CLUSTER = "a cluster"


@dataclass(frozen=True)
class EmbeddingPlan:
    """Time of `lifted embed` on one host as measured; seconds are None where no rate has been measured."""

    device: str
    precision: str
    images_per_second: float | None
    seconds: float | None


@dataclass(frozen=True)
class IndexPlan:
    """One kind of index on one host.

    Parameters
    ----------
    kind : str
        ``"exact"`` or FAISS's name.
    disk : int
        Bytes of the index folder.
    memory : int
        Bytes that searches touch. With less memory they read from the disk.
    build_seconds : float
        Time to train and fill it; 0 for an exact index, which is copied.
    most_rows : int
        The largest catalog that this kind serves on this host.
    """

    kind: str
    disk: int
    memory: int
    build_seconds: float
    most_rows: int


@dataclass(frozen=True)
class DatabasePlan:
    """One database: time to load and index (None where not measured), memory of its index, and hosts to hold it."""

    database: str
    method: str
    load_seconds: float | None
    index: str
    index_seconds: float | None
    memory: int | None
    hosts: int | None


@dataclass(frozen=True)
class SizingPlan:
    """What a catalog needs.

    Parameters
    ----------
    rows, dim : int
        Size of the catalog, and width of its embeddings.
    dtype : str
        Storage type of the embeddings.
    memory : int
        Bytes of memory of a host.
    parquet : int
        Bytes of the embedding folder.
    embedding : tuple of EmbeddingPlan
        By device and precision.
    indexes : tuple of IndexPlan
        From the one for the smallest catalogs to the one for the largest.
    databases : tuple of DatabasePlan
        By database.
    engine : str
        Kind of index to build, or ``"a cluster"`` if none fits one host.
    """

    rows: int
    dim: int
    dtype: str
    memory: int
    parquet: int
    embedding: tuple[EmbeddingPlan, ...]
    indexes: tuple[IndexPlan, ...]
    databases: tuple[DatabasePlan, ...]
    engine: str


class _Kind(NamedTuple):
    name: str
    file_bytes: Callable[[int, int], int]  # of (rows, dim), beside the vectors and rows that each index keeps


def plan(rows: int, dim: int = 512, dtype: Dtype = "float32", memory: int = 64_000_000_000) -> SizingPlan:
    """Estimate what a catalog needs.

    Parameters
    ----------
    rows : int
        Images.
    dim : int
        Width of an embedding.
    dtype : {"float32", "float16", "int8"}
        Storage type of `lifted embed`.
    memory : int
        Bytes of memory of each host.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """
    for name, value, most in (("rows", rows, MOST_ROWS), ("the dimension", dim, MOST_DIM), ("memory", memory, 2**60)):
        if not 1 <= value <= most:
            raise ConfigError(f"{name} is {value:,}; expected 1 to {most:,}.")
    usable = int(memory * MEMORY_SHARE)
    indexes = _index_plans(rows, dim, dtype, usable)
    return SizingPlan(
        rows=rows,
        dim=dim,
        dtype=dtype,
        memory=memory,
        parquet=sizes.parquet_bytes(rows, dim, dtype),
        embedding=tuple(
            EmbeddingPlan(rate.device, rate.precision, rate.images_per_second, _seconds(rows, rate.images_per_second))
            for rate in rates.EMBEDDING
        ),
        indexes=indexes,
        databases=tuple(_database_plan(rate, rows, dim, dtype, usable) for rate in rates.LOADS),
        engine=next((index.kind for index in indexes if rows <= index.most_rows), CLUSTER),
    )


def _index_plans(rows: int, dim: int, dtype: str, usable: int) -> tuple[IndexPlan, ...]:
    def vectors(rows: int, dim: int) -> int:
        return sizes.vectors_bytes(rows, dim, dtype)

    def flat(rows: int, dim: int) -> int:
        return sizes.ivf_bytes(rows, dim, sizes.FLOAT)

    def quantized(rows: int, dim: int) -> int:
        return sizes.ivf_bytes(rows, dim, 1)

    kept = vectors(rows, dim) + sizes.rows_bytes(rows)
    exact = IndexPlan("exact", kept, vectors(rows, dim), 0.0, min(sizes.EXACT_ROWS, _most_rows(vectors, dim, usable)))
    build = rates.IVF_BUILD
    work = sizes.build_work(rows, dim, sizes.lists_of(rows)) / sizes.build_work(build.rows, build.dim, build.lists)
    return (
        exact,
        *(
            IndexPlan(
                kind=kind.name,
                disk=kept + kind.file_bytes(rows, dim),
                memory=kind.file_bytes(rows, dim),
                build_seconds=build.seconds * work,
                most_rows=_most_rows(kind.file_bytes, dim, usable),
            )
            for kind in (_Kind("IVF,Flat", flat), _Kind("IVF,SQ8, re-ranked", quantized))
        ),
    )


def _most_rows(memory_bytes: Callable[[int, int], int], dim: int, usable: int) -> int:
    """Return the largest number of rows that fits, by bisection."""
    low, high = 0, MOST_ROWS
    while low < high:
        middle = (low + high + 1) // 2
        if memory_bytes(middle, dim) <= usable:
            low = middle
        else:
            high = middle - 1
    return low


def _database_plan(rate: LoadRate, rows: int, dim: int, dtype: str, usable: int) -> DatabasePlan:
    memory = _database_memory(rate.database, rows, dim, dtype)
    return DatabasePlan(
        database=rate.database,
        method=rate.method,
        load_seconds=_seconds(rows, _rate_at(rate.rows_per_second, dim)),
        index=rate.index,
        index_seconds=_seconds(rows, _rate_at(rate.indexed_per_second, dim)),
        memory=memory,
        hosts=None if memory is None else math.ceil(memory / usable),
    )


def _database_memory(database: str, rows: int, dim: int, dtype: str) -> int | None:
    """Return the bytes of a database's HNSW index; None for LanceDB, which searches from the disk."""
    if database == "PostgreSQL":
        return sizes.pgvector_bytes(rows, dim, 2 if dtype == "float16" else sizes.FLOAT)
    if database == "Qdrant":
        return sizes.qdrant_bytes(rows, dim)
    return sizes.milvus_bytes(rows, dim) if database == "Milvus" else None


def _rate_at(measured: dict[int, float], dim: int) -> float | None:
    """Return the rate at a width: of the measured width with the closest ratio, over the ratio of widths."""
    if not measured:
        return None
    nearest = min(measured, key=lambda width: abs(math.log(width / dim)))
    return measured[nearest] * nearest / dim


def _seconds(rows: int, per_second: float | None) -> float | None:
    return None if per_second is None else rows / per_second
