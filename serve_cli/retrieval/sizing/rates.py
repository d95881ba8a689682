"""Measured rates: the only numbers behind `plan` that no formula gives.

Replace a rate here when its results file has a newer one. A test compares each rate with its file.
"""

from __future__ import annotations

from dataclasses import dataclass

EMBED = "benchmarks/results/embed.md"
PRELIMINARY = "a first measurement, one run"  # until benchmarks/results has it
GOOGLENET = "GoogLeNet with batch norm at 224 px, photographs of CARS196 from files to parquet, two cores with AMX"
TWO_CORES = "two cores with AVX-512"


@dataclass(frozen=True)
class EmbeddingRate:
    """How fast `lifted embed` is.

    Parameters
    ----------
    device, precision : str
        What the network ran on, and in.
    images_per_second : float or None
        None if it has not been measured.
    source, conditions : str
        Results file, and what was measured.
    """

    device: str
    precision: str
    images_per_second: float | None
    source: str
    conditions: str


@dataclass(frozen=True)
class BuildTime:
    """How long an index of inverted lists took to build.

    Parameters
    ----------
    products : float
        Floating-point operations that it took; see `serve_cli.retrieval.index.plan.build_products`.
    seconds : float
        Training and adding.
    source, conditions : str
        Results file, and what was measured.
    """

    products: float
    seconds: float
    source: str
    conditions: str


@dataclass(frozen=True)
class LoadRate:
    """How fast a database takes rows.

    Parameters
    ----------
    database, method : str
        E.g. ``"PostgreSQL"`` and ``"binary COPY"``.
    rows_per_second : dict of int to float
        Width of the embeddings -> rows/s of the load, without the index; empty if it has not been measured.
    index : str
        Kind of index.
    indexed_per_second : dict of int to float
        Width -> rows/s of building the index; empty if it has not been measured.
    source, conditions : str
        Results file, and what was measured.
    """

    database: str
    method: str
    rows_per_second: dict[int, float]
    index: str
    indexed_per_second: dict[int, float]
    source: str
    conditions: str


EMBEDDING = (
    EmbeddingRate("CPU", "float32", 84.9, EMBED, GOOGLENET),
    EmbeddingRate("CPU", "int8", 269.4, EMBED, GOOGLENET),
    EmbeddingRate("GPU", "float16", None, "", "not measured"),
)
INDEX_BUILD = BuildTime(
    2.0 * 128 * 2048 * (10 * 256 * 2048 + 1_000_000),  # k-means of ten rounds on 256 rows a list, then all rows
    25.3,
    PRELIMINARY,
    f"25.3 s for 1,000,000 x 128 in FAISS's IVF2048,Flat, on {TWO_CORES}",
)
LOADS = (
    LoadRate(
        "PostgreSQL",
        "binary COPY",
        {128: 197_000, 512: 44_000},
        "HNSW",
        {128: 5_100, 512: 1_700},
        PRELIMINARY,
        f"PostgreSQL 18, pgvector 0.8, client and server on the same {TWO_CORES}",
    ),
    LoadRate("LanceDB", "Arrow", {}, "IVF", {}, "", "not measured"),
    LoadRate("Qdrant", "upload_collection", {}, "HNSW", {}, "", "not measured"),
    LoadRate("Milvus", "insert", {}, "HNSW", {}, "", "not measured"),
)
