"""Choose the kind of an index, and estimate its memory, disk and time beforehand."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass

import numpy as np

from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.memory import available_memory
from serve_cli.retrieval.index.layout import EXACT

EXACT_ROWS = 50_000  # up to here all rows are compared
SPARE = 0.8  # share of the available memory that is used unless --max-memory is given
BASE_BYTES = 150 << 20  # Python, pyarrow and FAISS
SAMPLE_COPIES = 3  # of the training rows, within FAISS
ENCODED_COPIES = 3  # of the codes: lists grow by doubling
ROW_BYTES = 100  # of text per row on disk, a guess
LISTS = 4  # times the square root of the rows, the least that FAISS's guidelines recommend
POINTS_PER_LIST = 40  # training rows per list, about FAISS's minimum
ITERATIONS = 6  # of k-means; more hardly change recall
TUNING_PRODUCTS = 2e11  # floating-point operations to find true neighbors
LINK_BYTES = 10  # of a graph per row and unit of M: 2 M links of 4 bytes, and the upper levels
GRAPH = re.compile(r"(?:PCA(\d{1,6}),)?HNSW(\d{1,4})(_SQ8)?")
LIST_COUNT = re.compile(r"IVF(\d{1,8})")


@dataclass(frozen=True)
class IndexPlan:
    """What building an index takes.

    Parameters
    ----------
    kind : str
        ``"exact"``, or FAISS's factory string.
    rows, dim : int
        Size of the catalog.
    segment_rows : int
        Rows per segment, so that encoding stays within the memory.
    memory_bytes, disk_bytes : int
        Peak memory, and size of the folder.
    seconds : float
        Estimated from the speed of matrix products on this host.
    """

    kind: str
    rows: int
    dim: int
    segment_rows: int
    memory_bytes: int
    disk_bytes: int
    seconds: float

    def describe(self) -> str:
        """Return a summary in one line."""
        return (
            f"{self.rows:,} rows of {self.dim}: {self.kind}, {self.memory_bytes / 1e6:,.0f} MB of memory, "
            f"{math.ceil(self.disk_bytes / 1e6):,} MB on disk, about {math.ceil(self.seconds):,} s."
        )


def plan_index(
    rows: int,
    dim: int,
    factory: str | None = None,
    max_memory: int | None = None,
    products_per_second: float | None = None,
) -> IndexPlan:
    """Choose the kind of an index.

    Parameters
    ----------
    rows, dim : int
        Size of the catalog.
    factory : str, optional
        ``"exact"`` or FAISS's factory string. Default: exact for up to 50,000 rows, then inverted lists with 4-bit
        product quantization, whose candidates are ranked by exact distances.
    max_memory : int, optional
        Bytes of memory; default: 80 % of what is available.
    products_per_second : float, optional
        Floating-point operations per second of matrix products; default: measured on this host.

    Raises
    ------
    ConfigError
        If there is not enough memory.
    """
    limit = int(SPARE * available_memory()) if max_memory is None else max_memory
    kind = factory or (EXACT if rows <= EXACT_ROWS else default_factory(rows, dim))
    vectors = 4 * dim * rows
    if kind == EXACT:
        needed = BASE_BYTES + 8 * rows
        _check_memory(needed, limit)
        return IndexPlan(kind, rows, dim, rows, needed, vectors + ROW_BYTES * rows, 1 + vectors / 200e6)
    match = LIST_COUNT.match(kind)
    lists = int(match[1]) if match else 1
    code = code_bytes(kind, dim) + 8
    fixed = BASE_BYTES + 8 * rows + 4 * dim * lists * (1 + POINTS_PER_LIST * SAMPLE_COPIES)
    _check_memory(fixed + ENCODED_COPIES * code * min(rows, EXACT_ROWS), limit)
    segment_rows = min(rows, (limit - fixed) // (ENCODED_COPIES * code))
    return IndexPlan(
        kind=kind,
        rows=rows,
        dim=dim,
        segment_rows=segment_rows,
        memory_bytes=fixed + ENCODED_COPIES * code * segment_rows,
        disk_bytes=vectors + (ROW_BYTES + code) * rows,
        seconds=2 + vectors / 200e6 + build_products(rows, dim, lists) / (products_per_second or product_rate()),
    )


def encodable_rows(rows: int, added: int, dim: int, kind: str, max_memory: int | None = None) -> int:
    """Return how many rows can be encoded at a time when an index changes.

    Parameters
    ----------
    rows, added : int
        Rows of the index, and rows to add.
    dim : int
    kind : str
        As in `IndexPlan`.
    max_memory : int, optional
        Bytes of memory; default: 80 % of what is available.

    Returns
    -------
    int
        At least ``added``.

    Raises
    ------
    ConfigError
        If there is not enough memory for the added rows.
    """
    limit = int(SPARE * available_memory()) if max_memory is None else max_memory
    match = LIST_COUNT.match(kind)
    fixed = BASE_BYTES + 8 * (rows + added) + 4 * dim * (int(match[1]) if match else 0)
    row_bytes = 0 if kind == EXACT else ENCODED_COPIES * (code_bytes(kind, dim) + 8)
    needed = fixed + row_bytes * added
    if needed > limit:
        raise ConfigError(
            f"adding {added:,} rows needs {needed / 1e6:,.0f} MB of memory, but may use only {limit / 1e6:,.0f} MB; "
            "allow more with --max-memory, or embed and add fewer images at a time."
        )
    return (limit - fixed) // row_bytes if row_bytes else rows + added


def build_products(rows: int, dim: int, lists: int) -> float:
    """Count the floating-point operations of training, encoding and tuning."""
    return 2.0 * dim * lists * (min(POINTS_PER_LIST * lists, rows) * ITERATIONS + rows) + TUNING_PRODUCTS


def default_factory(rows: int, dim: int) -> str:
    """Return FAISS's factory string for a catalog, e.g. ``"IVF4096,PQ64x4fs"`` for a million rows of width 128.

    Examples
    --------
    >>> default_factory(1_000_000, 128), default_factory(60_000, 127)
    ('IVF4096,PQ64x4fs', 'IVF1024,SQ8')
    """
    lists = 2 ** round(math.log2(LISTS * math.sqrt(rows)))
    return f"IVF{lists},PQ{dim // 2}x4fs" if dim % 2 == 0 else f"IVF{lists},SQ8"


def code_bytes(kind: str, dim: int) -> int:
    """Return the size of a row's code, or of the full vector for kinds that this function does not know."""
    if match := GRAPH.fullmatch(kind):
        width = min(int(match[1] or dim), dim)
        return (width if match[3] else 4 * width) + LINK_BYTES * int(match[2])
    if match := re.search(r",PQ(\d{1,6})x4", kind):
        return int(match[1]) // 2 + 1
    return dim if kind.endswith(",SQ8") else 4 * dim


def product_rate() -> float:
    """Measure floating-point operations per second of matrix products."""
    left = np.ones((512, 512), np.float32)
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        left @ left
        spent.append(time.perf_counter() - start)
    return 2 * 512.0**3 / min(spent)


def _check_memory(needed: int, limit: int) -> None:
    if needed > limit:
        raise ConfigError(
            f"the index needs at least {needed / 1e6:,.0f} MB of memory, but may use only {limit / 1e6:,.0f} MB; allow "
            "more with --max-memory, or give a --factory with fewer lists."
        )
