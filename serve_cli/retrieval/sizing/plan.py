"""Estimate hours, bytes and engines from a number of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError
from serve_cli.retrieval.index.layout import EXACT
from serve_cli.retrieval.index.plan import EXACT_ROWS, default_factory, plan_index
from serve_cli.retrieval.sizing import rates, sizes

if TYPE_CHECKING:
    from serve_cli.choices import Dtype
    from serve_cli.retrieval.index.plan import IndexPlan
    from serve_cli.retrieval.sizing.rates import LoadRate

MEMORY_SHARE = 0.75  # of a host, for the index; the system, queries and rows take the rest
MOST_ROWS, MOST_DIM = 10**12, 2**16
CLUSTER = "a cluster"
DEFAULT = "default"
KINDS, CHOSEN = (EXACT, DEFAULT, "SQ8", "Flat"), 2  # the first two are what `lifted index` chooses from


@dataclass(frozen=True)
class EmbeddingPlan:
    """Time of `lifted embed` on one host as measured. Seconds are None where no rate has been measured."""

    device: str
    precision: str
    images_per_second: float | None
    seconds: float | None


@dataclass(frozen=True)
class HostIndex:
    """One kind of index on one host.

    Parameters
    ----------
    kind : str
        ``"exact"`` or FAISS's factory string.
    disk : int
        Bytes of the folder.
    memory : int
        Bytes that searches read. With less memory they come from the disk, as the vectors of candidates may.
    build_memory : int or None
        Bytes that building it takes; None if it does not fit the host.
    build_seconds : float or None
        Time to build it; None if it does not fit the host.
    most_rows : int
        The largest catalog that this kind serves on this host.
    """

    kind: str
    disk: int
    memory: int
    build_memory: int | None
    build_seconds: float | None
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
    indexes : tuple of HostIndex
        An exact one, the one of `lifted index`, and others for ``--factory``.
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
    indexes: tuple[HostIndex, ...]
    databases: tuple[DatabasePlan, ...]
    engine: str


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
    indexes = tuple(_host_index(name, rows, dim, usable) for name in KINDS)
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
        engine=next((index.kind for index in indexes[:CHOSEN] if rows <= index.most_rows), CLUSTER),
    )


def _kind(name: str, rows: int, dim: int) -> str:
    """Return the factory string for a catalog: the default, or the same lists with other codes."""
    if name == EXACT:
        return EXACT
    default = default_factory(rows, dim)
    return default if name == DEFAULT else f"{default.partition(',')[0]},{name}"


def _host_index(name: str, rows: int, dim: int, usable: int) -> HostIndex:
    kind = _kind(name, rows, dim)
    built = _built(kind, rows, dim, usable)
    return HostIndex(
        kind=kind,
        disk=sizes.folder_bytes(kind, rows, dim),
        memory=sizes.searched_bytes(kind, rows, dim),
        build_memory=None if built is None else built.memory_bytes,
        build_seconds=None if built is None else built.seconds,
        most_rows=min(_most_rows(name, dim, usable), EXACT_ROWS if name == EXACT else MOST_ROWS),
    )


def _built(kind: str, rows: int, dim: int, usable: int) -> IndexPlan | None:
    """Plan a build at the measured speed, or return None if it does not fit into memory."""
    speed = rates.INDEX_BUILD.products / rates.INDEX_BUILD.seconds
    try:
        return plan_index(rows, dim, kind, usable, speed)
    except ConfigError:
        return None


def _most_rows(name: str, dim: int, usable: int) -> int:
    """Return the largest number of rows that can be built and searched in memory, by bisection."""
    low, high = 0, MOST_ROWS
    while low < high:
        rows = (low + high + 1) // 2
        kind = _kind(name, rows, dim)
        if sizes.searched_bytes(kind, rows, dim) <= usable and _built(kind, rows, dim, usable) is not None:
            low = rows
        else:
            high = rows - 1
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
    """Return the bytes of a database's HNSW index, or None for LanceDB, which searches from the disk."""
    if database == "PostgreSQL":
        return sizes.pgvector_bytes(rows, dim, 2 if dtype == "float16" else sizes.FLOAT)
    if database == "Qdrant":
        return sizes.qdrant_bytes(rows, dim)
    return sizes.milvus_bytes(rows, dim) if database == "Milvus" else None


def _rate_at(measured: dict[int, float], dim: int) -> float | None:
    """Return the rate at a width: that of the measured width with the closest ratio, in inverse proportion to width."""
    if not measured:
        return None
    nearest = min(measured, key=lambda width: abs(math.log(width / dim)))
    return measured[nearest] * nearest / dim


def _seconds(rows: int, per_second: float | None) -> float | None:
    return None if per_second is None else rows / per_second
