"""A plan as text: one table per question, for the console and for docs/sizing.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from serve_cli.retrieval.sizing.plan import CLUSTER, MEMORY_SHARE

if TYPE_CHECKING:
    from serve_cli.retrieval.sizing.plan import SizingPlan

UNKNOWN, NO_FIT = "not measured", "too large"
PREFIXES = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))
UNITS = (("days", 86_400.0, 3.0), ("h", 3600.0, 1.5), ("min", 60.0, 1.5))  # name, seconds, the least number of them


class Table(NamedTuple):
    """Columns and rows of text. The first ``left`` columns are words, the others numbers."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    left: int


def facts(plan: SizingPlan) -> dict[str, str]:
    """Return the catalog, and the engine that serves it."""
    clustered = plan.engine == CLUSTER
    return {
        "catalog": f"{plan.rows:,} embeddings of {plan.dim:,} numbers, {plan.dtype}",
        "parquet": size_text(plan.parquet),
        "host": f"{size_text(plan.memory)} of memory, {MEMORY_SHARE:.0%} of it for the index",
        "engine": "Milvus, Qdrant or PostgreSQL, on several hosts" if clustered else f"{plan.engine}, on one host",
        "rates": "two cores; GoogLeNet at 224 px; docs/sizing.md has all conditions",
    }


def embedding_table(plan: SizingPlan) -> Table:
    """Return the time of `lifted embed`."""
    return Table(
        ("device", "precision", "images/s", "time"),
        [
            (
                way.device,
                way.precision,
                UNKNOWN if way.images_per_second is None else f"{way.images_per_second:,.1f}",
                time_text(way.seconds),
            )
            for way in plan.embedding
        ],
        left=2,
    )


def index_table(plan: SizingPlan) -> Table:
    """Return the sizes of each kind of index on one host."""
    return Table(
        ("index", "disk", "memory", "to build", "build", "fits up to"),
        [
            (
                index.kind,
                size_text(index.disk),
                size_text(index.memory),
                NO_FIT if index.build_memory is None else size_text(index.build_memory),
                NO_FIT if index.build_seconds is None else time_text(index.build_seconds),
                f"{index.most_rows:,}",
            )
            for index in plan.indexes
        ],
        left=1,
    )


def database_table(plan: SizingPlan) -> Table:
    """Return time, memory and hosts of each database."""
    return Table(
        ("database", "load", "index", "build", "memory", "hosts"),
        [
            (
                way.database,
                time_text(way.load_seconds),
                way.index,
                time_text(way.index_seconds),
                "from disk" if way.memory is None else size_text(way.memory),
                "-" if way.hosts is None else f"{way.hosts:,}",
            )
            for way in plan.databases
        ],
        left=1,
    )


def tables(plan: SizingPlan) -> tuple[Table, ...]:
    """Return all tables of a plan."""
    return embedding_table(plan), index_table(plan), database_table(plan)


def size_text(size: float) -> str:
    """Format bytes as ``2.1 GB``.

    Examples
    --------
    >>> size_text(2_148_000_000), size_text(52), size_text(64e9)
    ('2.1 GB', '52 B', '64 GB')
    """
    for prefix, factor in PREFIXES:
        if size >= factor:
            return f"{_short(size / factor)} {prefix}B"
    return f"{size:.0f} B"


def time_text(seconds: float | None) -> str:
    """Format a duration as ``3.3 h``. None means not measured.

    Examples
    --------
    >>> time_text(12000), time_text(42), time_text(1e6), time_text(0.2)
    ('3.3 h', '42 s', '12 days', '< 1 s')
    """
    if seconds is None:
        return UNKNOWN
    for name, length, least in UNITS:
        if seconds >= least * length:
            return f"{_short(seconds / length)} {name}"
    return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"


def _short(number: float) -> str:
    return f"{number:.1f}" if number < 9.95 else f"{number:,.0f}"
