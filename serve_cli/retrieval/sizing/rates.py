"""Measured rates: the only numbers behind `plan` that no formula gives.

Replace a rate here when its results file has a newer one. A test compares each rate with its file.
"""

from __future__ import annotations

from dataclasses import dataclass

EMBED = "benchmarks/results/embed.md"
SEARCH, LOAD = "benchmarks/results/search.md", "benchmarks/results/load.md"
GOOGLENET = "GoogLeNet with batch norm at 224 px, photographs of CARS196 from files to parquet, two cores with AMX"
TWO_CORES = "two cores with AVX-512"


@dataclass(frozen=True)
class EmbeddingRate:
    """How fast `lifted embed` is.

    Parameters
    ----------
    device, precision : str
        Device that the network ran on, and its precision.
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
    2.0 * 128 * 4096 * (6 * 40 * 4096 + 1_000_000) + 2e11,  # six rounds of k-means on 40 rows a list, all rows, tuning
    18.3,
    SEARCH,
    f"18.3 s for 1,000,000 x 128 in IVF4096,PQ64x4fs, tuned, on {TWO_CORES}",
)
LOADS = (
    LoadRate(
        "PostgreSQL",
        "binary COPY",
        {128: 463_686, 512: 94_824},
        "HNSW",
        {128: 7_361, 512: 5_166},
        LOAD,
        f"PostgreSQL 18, pgvector 0.8, client and server on the same {TWO_CORES}, 100,000 rows of 128, 25,000 of 512",
    ),
    LoadRate(
        "LanceDB",
        "Arrow",
        {128: 1_016_798, 512: 350_064},
        "IVF",
        {},
        LOAD,
        f"a local folder, {TWO_CORES}, 20,000 rows of 128, 5,000 of 512",
    ),
    LoadRate("Qdrant", "upload_collection", {}, "HNSW", {}, "", "not measured"),
    LoadRate("Milvus", "insert", {}, "HNSW", {}, "", "not measured"),
)
