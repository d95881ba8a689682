"""How many items of a tile of nearness lie above each query's levels, surely or within the rounding error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LANES = 8  # bytes of a uint64, summed side by side
MOST = 255  # that a byte can count
SPARSE = 8  # where fewer than one item in so many is relevant, looking at those alone is quicker


class Count(NamedTuple):
    """Items surely above, (n, J); and those too close to call: query, item and level of each, (m,)."""

    above: NDArray[np.int64]
    queries: NDArray[np.int64]
    items: NDArray[np.int64]
    levels: NDArray[np.int64]


def count_by_comparing(near: NDArray[Any], low: NDArray[Any], high: NDArray[Any], by_row: bool) -> Count:
    """Compare items with the levels of each query: for few levels.

    Parameters
    ----------
    near : ndarray, (n, m)
        Nearness; both multiples of 8, m up to 2040.
    low, high : ndarray, of the same type, (n, J), or (m, J) if queries are columns
        An item above ``high`` is nearer than the level, one from ``low`` to ``high`` is too close to call.
    by_row : bool
        Whether queries are rows.
    """
    lowest = low.min(axis=1)  # levels that a query has not are +inf
    relevant = np.greater_equal(near, lowest[:, None] if by_row else lowest)
    if np.count_nonzero(relevant) < near.size // SPARSE:
        return _count_few(near, low, high, by_row, relevant)
    return _count_all(near, low, high, by_row, relevant)


def _count_few(
    near: NDArray[Any], low: NDArray[Any], high: NDArray[Any], by_row: bool, relevant: NDArray[np.bool_]
) -> Count:
    """Look at the relevant items alone."""
    rows, columns = _where(relevant)
    queries, items = (rows, columns) if by_row else (columns, rows)
    values = near[rows, columns][:, None]
    above, maybe = values > high[queries], values >= low[queries]  # (relevant, J)
    counts = [np.bincount(queries[above[:, level]], minlength=len(low)) for level in range(low.shape[1])]
    doubt, level = np.nonzero(above != maybe)
    return Count(np.stack(counts, axis=1), queries[doubt], items[doubt], level)


def _count_all(
    near: NDArray[Any], low: NDArray[Any], high: NDArray[Any], by_row: bool, maybe: NDArray[np.bool_]
) -> Count:
    """Compare the whole tile with one level of each query after the other; ``maybe`` is overwritten."""
    above = np.zeros(low.shape, np.int64)
    undecided = []
    surely = np.empty(near.shape, bool)
    count = _count_rows if by_row else _count_columns
    for level in range(low.shape[1]):
        np.greater(near, high[:, level, None] if by_row else high[:, level], out=surely)
        np.greater_equal(near, low[:, level, None] if by_row else low[:, level], out=maybe)
        above[:, level] = count(surely)
        rows, columns = _where(np.not_equal(surely, maybe, out=maybe))
        query, item = (rows, columns) if by_row else (columns, rows)
        undecided.append((query, item, np.full(len(rows), level)))
    return Count(above, *(np.concatenate(parts) for parts in zip(*undecided, strict=True)))


def _count_rows(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of True in each row: eight bytes are added at a time, none of which gets above m / 8."""
    lanes = mask.view(np.uint64).sum(axis=1)  # (n,)
    counts: NDArray[np.int64] = lanes.view(np.uint8).reshape(-1, LANES).sum(axis=1, dtype=np.int64)
    return counts


def _count_columns(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of True in each column: bytes are added, as many rows at a time as a byte can count."""
    rows = mask.view(np.uint8)
    parts = [rows[start : start + MOST].sum(axis=0, dtype=np.uint8) for start in range(0, len(rows), MOST)]
    counts: NDArray[np.int64] = np.sum(parts, axis=0, dtype=np.int64)
    return counts


def _where(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of each True, of which there are few: eight bytes are looked at at a time."""
    flat = mask.reshape(-1)
    words = np.flatnonzero(flat.view(np.uint64))
    word, byte = np.nonzero(flat.reshape(-1, LANES)[words])
    rows, columns = np.divmod(words[word] * LANES + byte, mask.shape[1])
    return rows, columns


def count_by_sorting(near: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> Count:
    """Sort each row and look all levels up: for many levels. Parameters as above, queries are rows."""
    width = near.shape[1]
    ranked = np.sort(near, axis=1)
    above, within = np.empty(low.shape, np.int64), np.empty(low.shape, np.int64)
    for row in range(len(near)):
        above[row] = width - np.searchsorted(ranked[row], high[row], side="right")
        within[row] = width - np.searchsorted(ranked[row], low[row], side="left")
    undecided = [np.zeros((3, 0), np.int64)]
    for row, level in zip(*np.nonzero(within > above), strict=True):
        items = np.flatnonzero((near[row] >= low[row, level]) & (near[row] <= high[row, level]))
        undecided.append(np.stack([np.full(len(items), row), items, np.full(len(items), level)]))
    return Count(above, *np.concatenate(undecided, axis=1))
