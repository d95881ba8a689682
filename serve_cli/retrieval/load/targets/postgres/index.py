"""The vector index: its parameters, its size, and how it is built."""

from __future__ import annotations

import logging
import math
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors, sql

from gluon_lifted.errors import ConfigError
from gluon_lifted.progress import open_progress
from serve_cli.retrieval.load.target import VECTOR_COLUMN
from serve_cli.retrieval.load.targets.postgres.names import identifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from gluon_lifted.progress import Progress
    from serve_cli.choices import Dtype
    from serve_cli.retrieval.load.target import LoadPlan

logger = logging.getLogger(__name__)

# pgvector's README, "Indexing": largest dimensions, defaults of HNSW, number of lists
MOST_DIMS = {"vector": 2_000, "halfvec": 4_000}
HNSW_M, HNSW_EF_CONSTRUCTION = 16, 64
MOST_LISTS = 32_768
OPERATORS = {"euclidean": "l2_ops", "cosine": "cosine_ops"}
TYPES: dict[Dtype, str] = {"float32": "vector", "float16": "halfvec"}
MOST_WORKERS = 4
POLL_S = 0.5
SAMPLES_A_LIST = 50  # vectors that IVFFlat's k-means reads for each list (ivfbuild.c)
MB = 1 << 20


@dataclass(frozen=True)
class VectorIndex:
    """An index of a vector column.

    Parameters
    ----------
    kind : {"hnsw", "ivfflat"}
        Access method.
    column_type, indexed_type : {"vector", "halfvec"}
        Type of the column, and the type that is indexed: an expression where they differ.
    dim : int
        Width D.
    operators : str
        Operator class, such as ``"vector_l2_ops"``.
    parameters : dict of str to int
        Storage parameters.
    rows : int
        Rows to index.
    """

    kind: str
    column_type: str
    indexed_type: str
    dim: int
    operators: str
    parameters: dict[str, int]
    rows: int

    def text(self) -> str:
        """Describe the index."""
        parameters = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        cast = f" on {VECTOR_COLUMN}::halfvec({self.dim})" if self.indexed_type != self.column_type else ""
        return f"{self.kind}{cast} {self.operators} ({parameters})"

    @property
    def bytes(self) -> int:
        """Estimated size: vectors, and for HNSW up to ``2 m`` neighbors of 6 bytes in the lowest layer."""
        vector = self.dim * (4 if self.indexed_type == "vector" else 2) + 64
        neighbors = 6 * 2 * HNSW_M if self.kind == "hnsw" else 0
        return self.rows * (vector + neighbors)

    @property
    def seconds(self) -> float:
        """Estimated time of the build on two cores, as benchmarks/load.py measures it."""
        if self.kind == "hnsw":
            return self.rows * (65e-6 + 1.0e-6 * self.dim)
        return self.rows * self.parameters["lists"] * self.dim / 4e9

    @property
    def memory(self) -> int:
        """Memory with which the build is fast: HNSW's whole graph, or the vectors that k-means reads."""
        if self.kind == "hnsw":
            return int(self.bytes * 1.4) + 16 * MB
        return min(self.parameters["lists"] * SAMPLES_A_LIST, self.rows) * (4 * self.dim + 16) + 64 * MB

    def statement(self, schema: str, table: str, name: str, extension: str) -> sql.Composed:
        """Return the statement that builds the index."""
        column = identifier(VECTOR_COLUMN)
        cast = sql.SQL("({}::{}({}))").format(column, identifier(extension, "halfvec"), sql.Literal(self.dim))
        parameters = [
            sql.SQL("{} = {}").format(identifier(key), sql.Literal(value)) for key, value in self.parameters.items()
        ]
        return sql.SQL("CREATE INDEX {} ON {} USING {} ({} {}) WITH ({})").format(
            identifier(name),
            identifier(schema, table),
            identifier(self.kind),
            cast if self.indexed_type != self.column_type else column,
            identifier(extension, self.operators),
            sql.SQL(", ").join(parameters),
        )


def number_bytes(dtype: Dtype) -> int:
    """Return the size of a number of a vector."""
    return 4 if TYPES[dtype] == "vector" else 2


def vector_index(plan: LoadPlan) -> VectorIndex | None:
    """Choose the index's parameters.

    Raises
    ------
    ConfigError
        If pgvector cannot index vectors that wide.
    """
    if plan.index == "none":
        return None
    column_type = TYPES[plan.dtype]
    indexed_type = column_type if plan.dim <= MOST_DIMS[column_type] else "halfvec"
    if plan.dim > MOST_DIMS[indexed_type]:
        raise ConfigError(
            f"pgvector indexes at most {MOST_DIMS['halfvec']:,} dimensions, and the embeddings have {plan.dim:,}; "
            "use --index none, which searches exactly."
        )
    if plan.index == "hnsw":
        parameters = {"m": HNSW_M, "ef_construction": HNSW_EF_CONSTRUCTION}
    else:  # rows / 1000 up to a million, then the square root
        lists = plan.rows // 1_000 if plan.rows <= 1_000_000 else math.isqrt(plan.rows)
        parameters = {"lists": min(max(lists, 1), MOST_LISTS)}
    operators = f"{indexed_type}_{OPERATORS[plan.distance]}"
    return VectorIndex(plan.index, column_type, indexed_type, plan.dim, operators, parameters, plan.rows)


def build(
    connection: psycopg.Connection[Any],
    watch: Callable[[], psycopg.Connection[Any]],
    index: VectorIndex,
    statement: sql.Composed,
) -> None:
    """Build an index, with progress.

    Parameters
    ----------
    connection : Connection
        Builds the index, in autocommit mode.
    watch : callable
        Opens another connection, which asks for the progress.
    index : VectorIndex
        Sets the memory.
    statement : Composed
        Builds the index.
    """
    _give_memory(connection, index)
    pid, done = connection.info.backend_pid, threading.Event()
    with open_progress(f"index ({index.kind})", index.rows, "rows") as progress:
        watcher = threading.Thread(target=_watch, args=(watch, pid, progress, done), name="index-progress", daemon=True)
        watcher.start()
        try:
            _build_in_parallel(connection, statement)
        finally:
            done.set()
            watcher.join(timeout=POLL_S * 4)


def _build_in_parallel(connection: psycopg.Connection[Any], statement: sql.Composed) -> None:
    try:
        connection.execute(statement, [])
    except (errors.DiskFull, errors.OutOfMemory):  # parallel builds need shared memory, of which containers have little
        logger.warning("PostgreSQL has too little shared memory to build the index in parallel; one process builds it.")
        connection.execute("SET max_parallel_maintenance_workers = 0")
        connection.execute(statement, [])


def _give_memory(connection: psycopg.Connection[Any], index: VectorIndex) -> None:
    """Raise the session's memory and workers to what the build needs, within what the server shows it can give.

    A server with R of memory usually has a quarter of it as ``shared_buffers``, so as much again is safe for one build.
    """
    row = connection.execute(
        "SELECT pg_size_bytes(current_setting('maintenance_work_mem')), "
        "pg_size_bytes(current_setting('shared_buffers')), current_setting('max_parallel_workers')::int, "
        "current_setting('max_parallel_maintenance_workers')::int"
    ).fetchone()
    memory, buffers, most_workers, workers = row or (0, 0, 0, 0)
    given = max(memory, min(index.memory, buffers))
    if given > memory:
        connection.execute(sql.SQL("SET maintenance_work_mem = {}").format(sql.Literal(f"{given >> 10}kB")))
    workers = max(workers, min(MOST_WORKERS, most_workers))
    connection.execute(sql.SQL("SET max_parallel_maintenance_workers = {}").format(sql.Literal(workers)))
    if index.memory > given:
        logger.warning(
            "the %s index of %s rows is built fastest with %s MB of memory, and maintenance_work_mem is %s MB; raise "
            "it with PGOPTIONS='-c maintenance_work_mem=%sMB' if the server has that much.",
            index.kind,
            f"{index.rows:,}",
            index.memory // MB,
            given // MB,
            index.memory // MB,
        )


def _watch(watch: Callable[[], psycopg.Connection[Any]], pid: int, progress: Progress, done: threading.Event) -> None:
    """Report the progress of the index that process ``pid`` builds. Without a second connection, report nothing."""
    with suppress(psycopg.Error), watch() as connection:
        while not done.wait(POLL_S):
            row = connection.execute(
                "SELECT phase, tuples_done FROM pg_stat_progress_create_index WHERE pid = %s", [pid]
            ).fetchone()
            if row is not None:
                progress.update(int(row[1] or 0), str(row[0]).removeprefix("building index: "))
