"""Limit the threads of FAISS and BLAS."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from gluon_lifted.hardware.cpus import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let matrix products and FAISS use ``count`` threads inside the block; usable cores by default."""
    with threadpool_limits(count or usable_cpus()):  # OpenMP, which FAISS uses, and BLAS
        yield
