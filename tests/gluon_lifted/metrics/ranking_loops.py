"""Retrieval metrics by plain loops: sort the gallery of each query and walk down the list."""

import math


def total(values):
    """Add from left to right; since Python 3.12 ``sum`` compensates for rounding."""
    result = 0.0
    for value in values:
        result += value
    return result


def squared_distance(query, other, distance="euclidean"):
    """Products, since ``** 2`` is not always rounded as the product is."""
    if distance == "cosine":
        query, other = ([value / math.sqrt(total(v * v for v in row)) for value in row] for row in (query, other))
    return total((a - b) * (a - b) for a, b in zip(query, other, strict=True))


def ranked_hits(query, label, gallery, labels, itself=None, distance="euclidean"):
    """Whether the item is of the query's class, down the ranking."""
    items = [i for i in range(len(gallery)) if i != itself]
    items.sort(key=lambda i: (squared_distance(query, gallery[i], distance), i))
    return [labels[i] == label for i in items]


def scores_of(hits):
    """First rank (None if there is none), R, R-precision, MAP@R, average precision (NaN for R = 0)."""
    ranks = [rank for rank, hit in enumerate(hits, start=1) if hit]
    R = len(ranks)
    if not R:
        return None, 0, math.nan, math.nan, math.nan
    r_precision = sum(hits[:R]) / R
    map_at_r = sum(sum(hits[:rank]) / rank for rank in range(1, R + 1) if hits[rank - 1]) / R
    average_precision = sum(sum(hits[:rank]) / rank for rank in ranks) / R
    return ranks[0], R, r_precision, map_at_r, average_precision
