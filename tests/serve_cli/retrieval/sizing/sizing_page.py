"""Write the tables of docs/sizing.md: run `python -m tests.serve_cli.retrieval.sizing.sizing_page`."""

from __future__ import annotations

import re
from pathlib import Path

from serve_cli.retrieval.sizing import rates
from serve_cli.retrieval.sizing.plan import plan
from serve_cli.retrieval.sizing.tables import UNKNOWN, Table, database_table, size_text, time_text

DOCUMENT = Path(__file__).parents[4] / "docs/sizing.md"
CATALOGS = tuple(10**power for power in range(5, 10))
DTYPES = ("float32", "float16", "int8")
MEMORIES = tuple(gigabytes * 10**9 for gigabytes in (16, 64, 256))
DIMS = (128, 512)
LARGE_HOST = 2**42  # builds the largest of these catalogs
MARKED = re.compile(r"<!-- (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


def page(text: str) -> str:
    """Return the page with its tables computed."""
    return MARKED.sub(lambda part: f"<!-- {part[1]} -->\n{markdown(TABLES[part[1]]())}<!-- end -->", text)


def markdown(table: Table) -> str:
    lines = [table.columns, tuple("---" if column < table.left else "--:" for column in range(len(table.columns)))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (*lines, *table.rows))


def embeddings() -> Table:
    ways = tuple(f"{way.device}, {way.precision}" for way in rates.EMBEDDING)
    columns = ("images", *ways, *(f"parquet, {dtype}" for dtype in DTYPES))
    rows = []
    for count in CATALOGS:
        times = (time_text(way.seconds) for way in plan(count).embedding)
        rows.append((f"{count:,}", *times, *(size_text(plan(count, dtype=dtype).parquet) for dtype in DTYPES)))
    return Table(columns, rows, left=0)


def indexes() -> Table:
    rows = []
    for count in CATALOGS:
        _, codes, bytes_of_numbers, _ = plan(count, memory=LARGE_HOST).indexes
        sizes = (codes.disk, codes.memory, bytes_of_numbers.disk, bytes_of_numbers.memory)
        rows.append((f"{count:,}", codes.kind, *map(size_text, sizes), time_text(codes.build_seconds)))
    columns = ("rows", "default", "disk", "memory", "SQ8: disk", "memory", "build")
    return Table(columns, rows, left=2)


def limits() -> Table:
    """The largest catalogs, rounded down to two digits."""
    rows = []
    for memory in MEMORIES:
        most = [kind.most_rows for dim in DIMS for kind in plan(1, dim, memory=memory).indexes[1:3]]
        rows.append((size_text(memory), *(f"{rounded_down(count):,}" for count in most)))
    columns = ("memory", *(f"{kind}, {dim} numbers" for dim in DIMS for kind in ("default", "SQ8")))
    return Table(columns, rows, left=0)


def databases() -> Table:
    plans = [(count, database_table(plan(count))) for count in CATALOGS[1::2] + CATALOGS[-1:]]
    rows = [(f"{count:,}", *cells) for count, table in plans for cells in table.rows]
    return Table(("rows", *plans[0][1].columns), rows, left=2)


def measured() -> Table:
    build = rates.INDEX_BUILD
    rows = [
        (f"`lifted embed`, {way.device}, {way.precision}", f"{way.images_per_second} images/s", about(way))
        for way in rates.EMBEDDING
        if way.images_per_second is not None
    ]
    rows.append(("inverted lists", f"{build.products / build.seconds / 1e9:.0f} GFLOP/s", about(build)))
    for way in rates.LOADS:
        for what, by_dim in ((way.method, way.rows_per_second), (way.index, way.indexed_per_second)):
            for dim, rate in by_dim.items():
                rows.append((f"{way.database}, {what}, {dim} numbers", f"{rate:,} rows/s", about(way)))
    missing = [way.database for way in rates.LOADS if not way.rows_per_second]
    missing += [f"embedding on a {way.device}" for way in rates.EMBEDDING if way.images_per_second is None]
    rows += [(what, UNKNOWN, "") for what in missing]
    return Table(("what", "rate", "conditions"), rows, left=3)


def about(rate: rates.EmbeddingRate | rates.BuildTime | rates.LoadRate) -> str:
    source = rate.source
    linked = f"[{Path(source).name}](../{source})" if source.endswith(".md") else source
    return f"{rate.conditions} ({linked})"


def rounded_down(count: int) -> int:
    digits = 10 ** (len(str(count)) - 2)
    return count // digits * digits


TABLES = {"embeddings": embeddings, "indexes": indexes, "limits": limits, "databases": databases, "rates": measured}

if __name__ == "__main__":
    DOCUMENT.write_text(page(DOCUMENT.read_text()))
