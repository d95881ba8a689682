"""Count the items of a similarity tile that are above each query's levels, by comparing or by sorting.

If similarity has a rounding error, items that are too close to call are listed, unless there are too many. If it is
exact, an item at the level counts if its row number is lower than the level's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LANES = 8  # bytes of a uint64, summed in parallel
MOST = 255  # largest count in a byte
SPARSE = 8  # if fewer than one item in 8 is relevant, only those are compared


class Count(NamedTuple):
    """Number of items surely above, (n, J), and the items too close to call: query, item and level, (m,)."""

    above: NDArray[np.int64]
    queries: NDArray[np.int64]
    items: NDArray[np.int64]
    levels: NDArray[np.int64]


class Order(NamedTuple):
    """Row numbers that decide ties: of the items of a tile, (m,), and of the positives at the levels, (n, J)."""

    items: NDArray[np.int32]
    levels: NDArray[np.int32]


def count_by_comparing(
    similarity: NDArray[Any], low: NDArray[Any], high: NDArray[Any], *, by_row: bool, most: int
) -> Count | None:
    """Compare items with each level of their query, which suits few levels.

    Parameters
    ----------
    similarity : ndarray, (n, m)
        n and m are multiples of 8, m up to 2040.
    low, high : ndarray, of the same dtype, (n, J), or (m, J) if queries are columns
        Items above ``high`` are nearer than the level. Items from ``low`` to ``high`` are too close to call.
    by_row : bool
        Whether queries are rows.
    most : int
        Largest number of items too close to call.

    Returns
    -------
    Count or None
        None if more than ``most`` items are too close to call.
    """
    relevant = _at_least(similarity, low, by_row=by_row)
    if np.count_nonzero(relevant) < similarity.size // SPARSE:
        return _count_few(similarity, low, high, by_row=by_row, relevant=relevant, most=most)
    return _count_all(similarity, low, high, by_row=by_row, maybe=relevant, most=most)


def _at_least(similarity: NDArray[Any], low: NDArray[Any], *, by_row: bool) -> NDArray[np.bool_]:
    lowest = low.min(axis=1)  # missing levels are +inf
    return np.greater_equal(similarity, lowest[:, None] if by_row else lowest)


def _count_few(
    similarity: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    *,
    by_row: bool,
    relevant: NDArray[np.bool_],
    most: int,
) -> Count | None:
    """Compare only the relevant items."""
    rows, columns = _where(relevant)
    queries, items = (rows, columns) if by_row else (columns, rows)
    values = similarity[rows, columns][:, None]
    above, maybe = values > high[queries], values >= low[queries]  # (relevant, J)
    doubt, level = np.nonzero(above != maybe)
    if len(doubt) > most:
        return None
    return Count(_per_query(above, queries, len(low)), queries[doubt], items[doubt], level)


def _per_query(mask: NDArray[np.bool_], queries: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Count True per query and level, (n, J), in a mask (relevant, J)."""
    counts = [np.bincount(queries[mask[:, level]], minlength=count) for level in range(mask.shape[1])]
    return np.stack(counts, axis=1)


def _count_all(
    similarity: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    *,
    by_row: bool,
    maybe: NDArray[np.bool_],
    most: int,
) -> Count | None:
    """Compare the whole tile with one level of each query at a time. Overwrites ``maybe``."""
    above = np.zeros(low.shape, np.int64)
    undecided = []
    surely = np.empty(similarity.shape, bool)
    count = _count_rows if by_row else _count_columns
    for level in range(low.shape[1]):
        np.greater(similarity, high[:, level, None] if by_row else high[:, level], out=surely)
        np.greater_equal(similarity, low[:, level, None] if by_row else low[:, level], out=maybe)
        above[:, level] = count(surely)
        np.not_equal(surely, maybe, out=maybe)
        most -= np.count_nonzero(maybe)
        if most < 0:
            return None
        rows, columns = _where(maybe)
        query, item = (rows, columns) if by_row else (columns, rows)
        undecided.append((query, item, np.full(len(rows), level)))
    return Count(above, *(np.concatenate(parts) for parts in zip(*undecided, strict=True)))


def count_exactly_by_comparing(
    similarity: NDArray[Any], levels: NDArray[Any], order: Order, *, by_row: bool
) -> NDArray[np.int64]:
    """Count items before each level, (n, J), in exact similarity. Other parameters as in `count_by_comparing`."""
    relevant = _at_least(similarity, levels, by_row=by_row)
    if np.count_nonzero(relevant) < similarity.size // SPARSE:
        rows, columns = _where(relevant)
        queries, items = (rows, columns) if by_row else (columns, rows)
        values = similarity[rows, columns][:, None]
        first = order.items[items, None] < order.levels[queries]
        return _per_query((values > levels[queries]) | ((values == levels[queries]) & first), queries, len(levels))
    before = np.zeros(levels.shape, np.int64)
    count = _count_rows if by_row else _count_columns
    mask, first = np.empty(similarity.shape, bool), np.empty(similarity.shape, bool)
    across = order.items if by_row else order.items[:, None]
    for level in range(levels.shape[1]):
        value, row = levels[:, level], order.levels[:, level]
        before[:, level] = count(np.greater(similarity, value[:, None] if by_row else value, out=mask))
        np.equal(similarity, value[:, None] if by_row else value, out=mask)
        if mask.any():
            np.less(across, row[:, None] if by_row else row, out=first)
            before[:, level] += count(np.logical_and(mask, first, out=mask))
    return before


def _count_rows(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count True in each row, eight bytes at a time. No byte exceeds m / 8."""
    lanes = mask.view(np.uint64).sum(axis=1)  # (n,)
    counts: NDArray[np.int64] = lanes.view(np.uint8).reshape(-1, LANES).sum(axis=1, dtype=np.int64)
    return counts


def _count_columns(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count True in each column in bytes, for as many rows at a time as a byte can count."""
    rows = mask.view(np.uint8)
    parts = [rows[start : start + MOST].sum(axis=0, dtype=np.uint8) for start in range(0, len(rows), MOST)]
    counts: NDArray[np.int64] = np.sum(parts, axis=0, dtype=np.int64)
    return counts


def _where(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find row and column of each True. Tests eight bytes at a time, which is fast if few are True."""
    flat = mask.reshape(-1)
    words = np.flatnonzero(flat.view(np.uint64) != 0)  # faster than without the comparison
    word, byte = np.nonzero(flat.reshape(-1, LANES)[words])
    rows, columns = np.divmod(words[word] * LANES + byte, mask.shape[1])
    return rows, columns


def count_by_sorting(similarity: NDArray[Any], low: NDArray[Any], high: NDArray[Any], most: int) -> Count | None:
    """Sort each row and look up all levels, which suits many. As `count_by_comparing`, with queries as rows."""
    width = similarity.shape[1]
    ranked = np.sort(similarity, axis=1)
    above, within = np.empty(low.shape, np.int64), np.empty(low.shape, np.int64)
    for row in range(len(similarity)):
        above[row] = width - np.searchsorted(ranked[row], high[row], side="right")
        within[row] = width - np.searchsorted(ranked[row], low[row], side="left")
    if (within - above).sum() > most:
        return None
    return Count(above, *_between(similarity, above, within))


def _between(
    similarity: NDArray[Any], above: NDArray[np.int64], within: NDArray[np.int64]
) -> tuple[NDArray[np.int64], ...]:
    """Find query, item and level of the items that are too close to call."""
    queries, levels = np.nonzero(within > above)
    rows, row = np.unique(queries, return_inverse=True)
    ranking = np.argsort(similarity[rows], axis=1)  # ascending
    counts = (within - above)[queries, levels]
    ends = np.cumsum(counts)
    step = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)  # 0, 1, ... for each level
    position = np.repeat(similarity.shape[1] - within[queries, levels], counts) + step
    return np.repeat(queries, counts), ranking[np.repeat(row, counts), position], np.repeat(levels, counts)


def count_exactly_by_sorting(similarity: NDArray[Any], levels: NDArray[Any], order: Order) -> NDArray[np.int64]:
    """Count items before each level, (n, J), in exact similarity.

    Each row is sorted by similarity, then by row number. Both are combined into integer keys, whose sort is faster than
    a stable sort.
    """
    width = similarity.shape[1]  # its square fits int32
    by_number = np.argsort(order.items)
    number = np.empty(width, np.int32)
    number[by_number] = np.arange(width)
    lower = np.searchsorted(order.items[by_number], order.levels).astype(np.int32)  # (n, J) that win a tie
    far = -similarity
    ranking = np.argsort(far, axis=1)
    ranked = np.take_along_axis(far, ranking, axis=1)  # (n, width) ascending
    runs = np.zeros(similarity.shape, np.int32)
    np.cumsum(ranked[:, 1:] != ranked[:, :-1], axis=1, out=runs[:, 1:])
    runs *= np.int32(width)
    keys = np.sort(runs + number[ranking], axis=1)
    before = np.empty(levels.shape, np.int64)
    for row, level in enumerate(-levels):
        nearer = np.searchsorted(ranked[row], level)
        column = np.minimum(nearer, width - 1)
        position = np.searchsorted(keys[row], runs[row, column] + lower[row])
        before[row] = np.where(ranked[row, column] == level, position, nearer)
    return before
