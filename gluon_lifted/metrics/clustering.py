"""Cluster embeddings with k-means, by the authors' protocol or a modern one, and compare clusters with classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import DataError, MissingPackageError
from gluon_lifted.extras import install_command
from gluon_lifted.metrics.partitions import ami, nmi, pairwise_f1
from gluon_lifted.metrics.scaling import in_unit_range

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gluon_lifted.metrics.choices import ClusteringProtocol


@dataclass(frozen=True)
class KMeansProtocol:
    """How k-means is initialized and when it stops.

    Parameters
    ----------
    name : {"authors", "modern"}
        Key of the results.
    init : str
        ``"random"`` (k rows) or ``"k-means++"`` (rows far from each other, Arthur and Vassilvitskii 2007).
    n_init : int
        Number of initializations. The result with the lowest sum of squares is used.
    max_iter : int
        Largest number of iterations per initialization.
    tol : float
        k-means stops when the centers move less than this share of the variance; with 0, when no row changes cluster.
    """

    name: ClusteringProtocol
    init: str
    n_init: int
    max_iter: int
    tol: float


# Song et al. 2016: evaluate_clustering.m, vgg_kmeans.m
AUTHORS = KMeansProtocol("authors", "random", 1, 1000, 0.0)
# scikit-learn's defaults, with the 10 initializations of versions before 1.4
MODERN = KMeansProtocol("modern", "k-means++", 10, 300, 1e-4)
PROTOCOLS = {protocol.name: protocol for protocol in (AUTHORS, MODERN)}


@dataclass(frozen=True)
class Clustering:
    """Agreement of k-means clusters with the classes.

    Parameters
    ----------
    protocol : str
        Name of the `KMeansProtocol`.
    k : int
        Requested clusters: the number of classes.
    n_init, seed : int
        Number of initializations, and their seed.
    nmi, nmi_geometric : float
        In [0, 1]: `nmi` with the authors' arithmetic mean of the entropies, and with the geometric one.
    f1 : float
        In [0, 1]: `pairwise_f1`.
    ami : float
        At most 1: `ami`.
    """

    protocol: str
    k: int
    n_init: int
    seed: int
    nmi: float
    nmi_geometric: float
    f1: float
    ami: float


def cluster_scores(
    embedding: NDArray[np.floating[Any]], labels: ArrayLike, seed: int, protocol: KMeansProtocol = AUTHORS
) -> Clustering:
    """Cluster the rows into as many clusters as there are classes, and compare clusters with classes.

    Parameters
    ----------
    embedding : ndarray, float32 or float64, (N, D)
        Compared by Euclidean distance.
    labels : array_like, (N,)
        Class of each row: integers or strings.
    seed : int
        Seed of the initialization.
    protocol : KMeansProtocol
        `AUTHORS` or `MODERN`.

    Returns
    -------
    Clustering
        Scores, with the parameters of the protocol.

    Raises
    ------
    DataError
        If there are no rows, the embedding is not (N, D) or not finite, or ``labels`` is not (N,).
    MissingPackageError
        If scikit-learn is not installed.
    """
    classes = np.asarray(labels)
    if classes.shape != np.shape(embedding)[:1]:
        raise DataError(
            f"embedding {np.shape(embedding)} and labels {classes.shape} do not match; expected (N, D) and (N,)."
        )
    k = len(np.unique(classes))
    clusters = kmeans(embedding, k, seed, protocol)
    return Clustering(
        protocol=protocol.name,
        k=k,
        n_init=protocol.n_init,
        seed=seed,
        nmi=nmi(classes, clusters),
        nmi_geometric=nmi(classes, clusters, average="geometric"),
        f1=pairwise_f1(classes, clusters),
        ami=ami(classes, clusters),
    )


def kmeans(
    embedding: NDArray[np.floating[Any]], k: int, seed: int, protocol: KMeansProtocol = AUTHORS
) -> NDArray[np.int64]:
    """Assign a cluster to each row with scikit-learn's k-means.

    With `AUTHORS` it starts once from k random rows and runs until nothing changes. It differs from the authors' code
    in one respect: the center of an empty cluster moves to the row that is farthest from its own center. Theirs becomes
    the zero vector.

    Parameters
    ----------
    embedding : ndarray, float32 or float64, (N, D)
        Compared by Euclidean distance.
    k : int
        Number of clusters, 1 to N. The paper uses the number of test classes. There are fewer clusters if fewer than k
        rows are distinct.
    seed : int
        Seed of the initialization.
    protocol : KMeansProtocol
        `AUTHORS` or `MODERN`.

    Returns
    -------
    ndarray, int64, (N,)
        Clusters, numbered 0 to k - 1.

    Raises
    ------
    DataError
        If the embedding is not (N, D) or not finite, or k is not in 1 to N.
    MissingPackageError
        If scikit-learn is not installed.
    """
    rows = np.asarray(embedding)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise DataError(f"embedding {rows.shape} cannot be clustered; expected (N, D), all values finite.")
    if not 1 <= k <= len(rows):
        raise DataError(f"k is {k}; expected 1 to {len(rows)}, the number of embeddings.")
    KMeans, ConvergenceWarning = require_scikit_learn()
    model = KMeans(
        k,
        init=protocol.init,
        n_init=protocol.n_init,
        max_iter=protocol.max_iter,
        tol=protocol.tol,
        random_state=np.random.RandomState(np.random.MT19937(seed)),  # accepts seeds of any size
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer than k rows are distinct
        return np.asarray(
            model.fit_predict(in_unit_range(rows)), np.int64
        )  # scikit-learn squares in the dtype of the rows


def require_scikit_learn() -> Any:
    """Import `KMeans` and `ConvergenceWarning`. Raises `MissingPackageError` if scikit-learn is not installed."""
    try:
        from sklearn import cluster, exceptions
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        raise MissingPackageError(
            f"scikit-learn is not installed, and clustering needs it. Install it: `{install_command('report')}`"
        ) from None
    return cluster.KMeans, exceptions.ConvergenceWarning
