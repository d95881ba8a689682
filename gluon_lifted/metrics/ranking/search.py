"""The input of retrieval metrics: queries, a gallery, and the number of positives of each query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    ClassedRows = tuple[NDArray[np.floating[Any]], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class OrderedRows:
    """Queries or gallery in working order: by class, classes with the most positives first.

    Parameters
    ----------
    rows : ndarray, float32 or float64, (N, D)
        As passed in, neither copied nor sorted.
    order : ndarray, int64, (n,)
        Row numbers in working order.
    classes : ndarray, int64, (n,)
        Class numbers in working order, ascending.
    """

    rows: NDArray[np.floating[Any]]
    order: NDArray[np.int64]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.order)

    def take(self, positions: slice | NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Return the rows at these positions of the working order, (m, D)."""
        taken: NDArray[np.floating[Any]] = self.rows[self.order[positions]]
        return taken


@dataclass(frozen=True, eq=False)
class Search:
    """Queries and the gallery to search. Create it with `leave_one_out` or `query_gallery`.

    Parameters
    ----------
    queries, gallery : OrderedRows
        In the same working order: a class has the same number in both.
    positives : ndarray, int64, (n,)
        R, the number of gallery items of each query's class, without the query itself. In working order.
    given : ndarray, int64, (n,)
        Index of each query in the caller's order.
    itself : ndarray, int64, (n,), or None
        Gallery position of each query, which is skipped. None if the queries are not in the gallery.
    """

    queries: OrderedRows
    gallery: OrderedRows
    positives: NDArray[np.int64]
    given: NDArray[np.int64]
    itself: NDArray[np.int64] | None

    @property
    def symmetric(self) -> bool:
        """Whether all rows are queries and the gallery of each is all other rows."""
        return self.itself is not None and len(self.queries) == len(self.gallery)

    @staticmethod
    def leave_one_out(embedding: ArrayLike, labels: ArrayLike, queries: ArrayLike | None = None) -> Search:
        """Search, for each row, all other rows.

        Parameters
        ----------
        embedding : array_like, (N, D)
            float32 and float64 are used without a copy.
        labels : array_like, (N,)
            Class of each row: integers or strings.
        queries : array_like of int, optional
            Distinct row numbers of the queries. By default all rows.

        Raises
        ------
        DataError
            If shapes do not match, or there are fewer than two rows.
        """
        rows = _matrix(embedding)
        names = _labels(labels, rows)
        if len(rows) < 2:
            raise DataError(f"retrieval needs at least 2 images, found {len(rows)}.")
        chosen = np.arange(len(rows)) if queries is None else np.asarray(queries, np.int64)
        _, classes = np.unique(names, return_inverse=True)
        return _search((rows, classes), (rows, classes), chosen, itself=True)

    @staticmethod
    def query_gallery(embedding: ArrayLike, labels: ArrayLike, gallery: ArrayLike, gallery_labels: ArrayLike) -> Search:
        """Search a gallery (N, D) for queries (Q, D) that are not in it.

        Raises
        ------
        DataError
            If shapes do not match, or there are no queries or no gallery.
        """
        rows, others = _matrix(embedding), _matrix(gallery)
        names, other_names = _labels(labels, rows), _labels(gallery_labels, others)
        if rows.shape[1] != others.shape[1]:
            raise DataError(
                f"queries {rows.shape} and gallery {others.shape} have different widths. Embed both with the same "
                "model."
            )
        if not len(rows) or not len(others):
            raise DataError(f"retrieval needs queries and a gallery, found {len(rows)} and {len(others)} images.")
        if (names.dtype.kind in "UO") != (other_names.dtype.kind in "UO"):
            raise DataError(
                "the labels of queries and gallery have different types, strings and numbers; expected the same type."
            )
        _, classes = np.unique(np.concatenate([names, other_names]), return_inverse=True)
        queries, items = (rows, classes[: len(rows)]), (others, classes[len(rows) :])
        return _search(queries, items, np.arange(len(rows)), itself=False)


def _search(
    query_rows: ClassedRows,
    gallery_rows: ClassedRows,
    chosen: NDArray[np.int64],
    *,
    itself: bool,
) -> Search:
    """Bring rows and their classes into working order. ``chosen`` are the row numbers of the queries."""
    (rows, query_classes), (gallery, gallery_classes) = query_rows, gallery_rows
    query_classes = query_classes[chosen]
    members = np.bincount(gallery_classes, minlength=int(query_classes.max(initial=0)) + 1)
    position_of_class = np.empty(len(members), np.int64)
    position_of_class[np.argsort(-members, kind="stable")] = np.arange(len(members))
    query_positions, gallery_positions = position_of_class[query_classes], position_of_class[gallery_classes]
    gallery_order = np.argsort(gallery_positions, kind="stable")
    query_order = np.lexsort((chosen, query_positions))  # equal to the gallery's if all rows are queries
    position_of_row = np.empty(len(gallery), np.int64)
    position_of_row[gallery_order] = np.arange(len(gallery))
    return Search(
        OrderedRows(rows, chosen[query_order], query_positions[query_order]),
        OrderedRows(gallery, gallery_order, gallery_positions[gallery_order]),
        members[query_classes[query_order]] - itself,
        query_order,
        position_of_row[chosen[query_order]] if itself else None,
    )


def _matrix(values: ArrayLike) -> NDArray[np.floating[Any]]:
    rows = np.asarray(values)
    if rows.ndim != 2 or not rows.shape[1] or rows.dtype.kind not in "biuf":
        raise DataError(
            f"embedding {rows.shape} of dtype {rows.dtype} is not a matrix of real numbers; expected (N, D)."
        )
    if rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float32 if rows.dtype == np.float16 else np.float64)
    return rows


def _labels(values: ArrayLike, rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
    labels = np.asarray(values)
    if labels.shape != (len(rows),):
        raise DataError(f"embedding {rows.shape} and labels {labels.shape} do not match; expected (N, D) and (N,).")
    kinds = {type(label) for label in labels.tolist()}
    if len(kinds) > 1 or not kinds <= {int, str, bool}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"labels have type {names}; expected integers or strings, one per row, none missing.")
    return labels
