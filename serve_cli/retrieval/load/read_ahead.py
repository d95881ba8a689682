"""Read the next batch while the last one is sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    T = TypeVar("T")


def read_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Iterate over ``items``. A thread computes the next one while the caller uses the last."""
    with ThreadPoolExecutor(1, "read-ahead") as pool:
        following = pool.submit(_next, items)
        while item := following.result():
            following = pool.submit(_next, items)
            yield item[0]


def _next(items: Iterator[T]) -> tuple[T] | None:
    """Return the next item in a tuple, or None at the end."""
    for item in items:
        return (item,)
    return None
