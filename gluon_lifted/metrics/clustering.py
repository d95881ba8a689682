"""Clustering quality of embeddings: k-means, and how much its clusters tell of the classes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import DataError, MissingPackageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MAX_ITERATIONS = 1000  # as in the authors' evaluate_clustering.m; k-means settles in far fewer


def nmi(labels: ArrayLike, clusters: ArrayLike) -> float:
    r"""Normalised mutual information of classes and clusters: 1 where they agree, near 0 where they have no relation.

    As in the authors' ``compute_clutering_metric.m``, the mutual information I is divided by the arithmetic mean
    of both entropies. Others divide by the geometric mean, which gives larger or equal values.

    Parameters
    ----------
    labels, clusters : array_like, (N,)
        Class and cluster of each row: integers or strings. Only which rows are equal counts.

    Returns
    -------
    float
        In [0, 1]. 1 where there is one class and one cluster, 0 where only one of both is constant.

    Raises
    ------
    DataError
        If there are no rows, or labels and clusters differ in number.

    Notes
    -----
    With :math:`n_{ck}` of the N rows in class c and cluster k, natural logarithms and H the entropy
    :math:`-\sum \frac{n}{N} \log \frac{n}{N}` over classes, clusters or both at a time:

    .. math:: NMI = \frac{2 I}{H_{class} + H_{cluster}}, \qquad I = H_{class} + H_{cluster} - H_{class,cluster}

    Examples
    --------
    Two classes of two; one image of the second is taken for the first:

    >>> round(nmi([0, 0, 1, 1], [5, 5, 5, 8]), 4)
    0.3437
    """
    classes, groups = np.asarray(labels), np.asarray(clusters)
    if classes.ndim != 1 or classes.shape != groups.shape:
        raise DataError(f"labels {classes.shape} and clusters {groups.shape} do not match; expected (N,) and (N,).")
    if not len(classes):
        raise DataError("NMI needs at least 1 row, found 0.")
    _, classes = np.unique(classes, return_inverse=True)
    _, groups = np.unique(groups, return_inverse=True)
    both = classes * (groups.max() + 1) + groups  # a number for each pair of class and cluster
    H_class, H_cluster, H_both = _entropy(classes), _entropy(groups), _entropy(both)
    if H_class + H_cluster == 0:
        return 1.0
    information = H_class + H_cluster - H_both
    return min(max(2 * information / (H_class + H_cluster), 0.0), 1.0)  # rounding can leave [0, 1] by 1e-16


def _entropy(values: NDArray[np.intp]) -> float:
    _, counts = np.unique(values, return_counts=True)
    share = counts / len(values)
    return float(-(share * np.log(share)).sum())


def kmeans(embedding: NDArray[np.floating[Any]], k: int, seed: int, n_init: int = 1) -> NDArray[np.int64]:
    """Cluster of each row, by scikit-learn's k-means.

    As the authors do, it starts from k rows at random, once, and goes on until nothing changes. One thing differs:
    a cluster that loses all its rows starts again at the row farthest from its centre; theirs stays empty.

    Parameters
    ----------
    embedding : ndarray, float32 or float64, (N, D)
        Compared by Euclidean distance.
    k : int
        Clusters, 1 ... N. The paper takes the number of test classes. Fewer are used where fewer than k rows differ.
    seed : int
        Decides the rows it starts from.
    n_init : int
        Starts; the result with the least sum of squares counts. The authors made 1.

    Returns
    -------
    ndarray, int64, (N,)
        Numbers in 0 ... k - 1.

    Raises
    ------
    DataError
        If the embedding is not (N, D) or not finite, or k is not in 1 ... N.
    MissingPackageError
        If scikit-learn is not installed.
    """
    rows = np.asarray(embedding)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise DataError(f"embedding {rows.shape} cannot be clustered; expected (N, D), all values finite.")
    if not 1 <= k <= len(rows):
        raise DataError(f"{len(rows)} rows cannot make {k} clusters; k must be 1 to {len(rows)}.")
    KMeans, ConvergenceWarning = _scikit_learn()
    random_state = np.random.RandomState(np.random.MT19937(seed))  # takes seeds of any size
    model = KMeans(k, init="random", n_init=n_init, max_iter=MAX_ITERATIONS, tol=0.0, random_state=random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer than k rows differ
        return np.asarray(model.fit_predict(rows), np.int64)


def _scikit_learn() -> Any:
    try:
        from sklearn import cluster, exceptions
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        raise MissingPackageError(
            "scikit-learn is not installed; clustering needs it: pip install 'gluon-lifted[train]'."
        ) from None
    return cluster.KMeans, exceptions.ConvergenceWarning
