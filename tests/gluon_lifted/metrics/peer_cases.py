"""Arrays for which metrics of other packages are recorded in peers.json, built without those packages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DIM = 16
CLASSES = (60, 45, 40, 35, 30, 25, 20, 15, 10, 8, 6, 4, 1, 1)  # rows of each: 300, two of them alone in their class
UNSEEN = 99  # a label of queries that no gallery item has
CASES = ("self", "self-cosine", "separate")


@dataclass(frozen=True, eq=False)
class PeerCase:
    """Queries and what they are compared with.

    Parameters
    ----------
    space : str
        ``"euclidean"`` or ``"cosine"``.
    query, gallery : ndarray, float32, (Q, 16), (300, 16)
        The gallery is None where it is all other queries.
    query_labels, gallery_labels : ndarray, int64, (Q,), (300,)
        Classes. Some queries have no other item of their class, or none in the gallery.
    clusters : ndarray, int64, (Q,)
        Clusters of the queries, which are their classes but for one in three.
    """

    space: str
    query: np.ndarray
    query_labels: np.ndarray
    gallery: np.ndarray | None
    gallery_labels: np.ndarray | None
    clusters: np.ndarray


def case(name: str) -> PeerCase:
    """One of `CASES`, the same at every call."""
    rng = np.random.default_rng(100 + CASES.index(name))
    centers = 1.2 * rng.normal(size=(len(CLASSES), DIM))

    def rows(labels: np.ndarray) -> np.ndarray:
        return (centers[labels] + rng.normal(size=(len(labels), DIM))).astype(np.float32)

    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), CLASSES))
    items = rows(labels)
    if name != "separate":
        space = "cosine" if name == "self-cosine" else "euclidean"
        return PeerCase(space, items, labels, None, None, clusters_near(labels, rng))
    query_labels = rng.integers(len(CLASSES), size=80)
    query = rows(query_labels)
    query_labels[[3, 40, 41, 79]] = UNSEEN
    return PeerCase("euclidean", query, query_labels, items, labels, clusters_near(query_labels, rng))


def clusters_near(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(len(labels)) < 1 / 3, rng.integers(10, size=len(labels)), labels)


def ranking(peer_case: PeerCase) -> np.ndarray:
    """Gallery rows of each query, nearest first, int64, (Q, 300) or without the query itself (Q, Q - 1)."""
    query, gallery = (
        np.asarray(rows, np.float64)
        for rows in (peer_case.query, peer_case.query if peer_case.gallery is None else peer_case.gallery)
    )
    if peer_case.space == "cosine":
        query, gallery = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (query, gallery))
    distance = np.linalg.norm(query[:, None] - gallery, axis=2)  # (Q, G)
    if peer_case.gallery is not None:
        return distance.argsort(axis=1, kind="stable")
    np.fill_diagonal(distance, np.inf)
    return distance.argsort(axis=1, kind="stable")[:, :-1]
