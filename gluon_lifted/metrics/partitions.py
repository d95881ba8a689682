"""Compare clusters with classes, two partitions of the same rows, by mutual information and by pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

AVERAGES = ("arithmetic", "geometric")


def nmi(labels: ArrayLike, clusters: ArrayLike, average: str = "arithmetic") -> float:
    r"""Compute the normalized mutual information of classes and clusters: 1 if they agree, near 0 if independent.

    Parameters
    ----------
    labels, clusters : array_like, (N,)
        Class and cluster of each row: integers or strings. Only which rows are equal counts.
    average : {"arithmetic", "geometric"}
        Mean of the two entropies, by which the mutual information is divided. Arithmetic: the authors' code
        (``compute_clutering_metric.m``) and the results of Song et al. 2016. Geometric: Song et al. 2017, *Deep Metric
        Learning via Facility Location*, Eq. 9, with larger or equal values.

    Returns
    -------
    float
        In [0, 1]. 1 if there is a single class and a single cluster, 0 if only one of the two is constant.

    Raises
    ------
    DataError
        If there are no rows, or labels and clusters differ in number.
    ConfigError
        If the average is unknown.

    Notes
    -----
    With :math:`n_{ck}` of the N rows in class c and cluster k, natural logarithms, and the entropy
    :math:`H = -\sum \frac{n}{N} \log \frac{n}{N}` over classes, clusters or pairs of both:

    .. math:: I = H_{class} + H_{cluster} - H_{class,cluster}

    .. math::
        NMI_{arithmetic} = \frac{2 I}{H_{class} + H_{cluster}}, \qquad
        NMI_{geometric} = \frac{I}{\sqrt{H_{class} H_{cluster}}}

    Examples
    --------
    Two classes of two images; an image of the second class is in the cluster of the first:

    >>> round(nmi([0, 0, 1, 1], [5, 5, 5, 8]), 4)
    0.3437
    >>> round(nmi([0, 0, 1, 1], [5, 5, 5, 8], average="geometric"), 4)
    0.3456
    """
    if average not in AVERAGES:
        raise ConfigError(f"average {average!r} is unknown. Choose one of {', '.join(AVERAGES)}.")
    of_class, of_cluster, of_both = _sizes(labels, clusters)
    H_class, H_cluster = _entropy(of_class), _entropy(of_cluster)
    if min(H_class, H_cluster) == 0:
        return 1.0 if H_class == H_cluster else 0.0
    mean = (H_class + H_cluster) / 2 if average == "arithmetic" else float(np.sqrt(H_class * H_cluster))
    return min(max((H_class + H_cluster - _entropy(of_both)) / mean, 0.0), 1.0)  # rounding can leave [0, 1] by 1e-16


def pairwise_f1(labels: ArrayLike, clusters: ArrayLike) -> float:
    r"""Compute the F1 score over all pairs of rows, where a pair in the same cluster predicts the same class.

    As in the authors' ``compute_clutering_metric.m``.

    Parameters
    ----------
    labels, clusters : array_like, (N,)
        Class and cluster of each row: integers or strings. Only which rows are equal counts.

    Returns
    -------
    float
        In [0, 1]. 1 if no two rows share a class or a cluster, where F is 0/0.

    Raises
    ------
    DataError
        If there are no rows, or labels and clusters differ in number.

    Notes
    -----
    With :math:`n_{ck}` rows in class c and cluster k, :math:`n_c` and :math:`n_k` in class and cluster:

    .. math::
        TP = \sum_{c,k} \binom{n_{ck}}{2}, \quad TP + FP = \sum_k \binom{n_k}{2}, \quad
        TP + FN = \sum_c \binom{n_c}{2}

    .. math::
        P = \frac{TP}{TP + FP}, \quad R = \frac{TP}{TP + FN}, \quad
        F = \frac{2 P R}{P + R} = \frac{2\,TP}{(TP + FP) + (TP + FN)}

    The last form is also defined, and 0, if only P or only R is 0/0.

    Examples
    --------
    One of three pairs within clusters is correct, and one of two pairs within classes is found:

    >>> pairwise_f1([0, 0, 1, 1], [5, 5, 5, 8])
    0.4
    """
    of_class, of_cluster, of_both = _sizes(labels, clusters)
    predicted_and_true = _pairs(of_cluster) + _pairs(of_class)
    return 2 * _pairs(of_both) / predicted_and_true if predicted_and_true else 1.0


def ami(labels: ArrayLike, clusters: ArrayLike) -> float:
    r"""Compute the adjusted mutual information of classes and clusters: 1 if they agree, 0 on average by chance.

    NMI grows with the number of clusters even if they are random. AMI does not. The entropies are averaged
    arithmetically.

    Parameters
    ----------
    labels, clusters : array_like, (N,)
        Class and cluster of each row: integers or strings. Only which rows are equal counts.

    Returns
    -------
    float
        At most 1, below 0 if worse than chance. 1 if both partitions have a single group, or only groups of one row.

    Raises
    ------
    DataError
        If there are no rows, or labels and clusters differ in number.

    Notes
    -----
    Vinh, Epps and Bailey 2010, *Information Theoretic Measures for Clusterings Comparison*, JMLR 11:

    .. math:: AMI = \frac{I - E[I]}{\frac12 (H_{class} + H_{cluster}) - E[I]}

    The expectation is over all assignments of rows to classes and clusters of the given sizes, where :math:`n_{ck}` has
    the hypergeometric distribution. It depends only on sizes, so each pair of a class size and a cluster size is
    computed once: 60,502 rows in 11,316 classes and clusters take less than a second.

    Examples
    --------
    >>> round(ami([0, 0, 0, 1, 1, 1], [5, 5, 8, 8, 8, 8]), 4)
    0.3552
    """
    of_class, of_cluster, of_both = _sizes(labels, clusters)
    num_rows = int(of_class.sum())
    if len(of_class) == len(of_cluster) and len(of_class) in {1, num_rows}:
        return 1.0  # the only 0/0: all assignments are equal
    H_class, H_cluster = _entropy(of_class), _entropy(of_cluster)
    expected = expected_information(of_class, of_cluster)
    information = H_class + H_cluster - _entropy(of_both)
    return (information - expected) / ((H_class + H_cluster) / 2 - expected)


def expected_information(of_class: NDArray[np.int64], of_cluster: NDArray[np.int64]) -> float:
    r"""Compute the mutual information expected by chance, in nats, from the sizes of classes (C,) and clusters (K,).

    .. math::
        E[I] = \sum_{c,k} \sum_n \frac{n}{N} \log \frac{N n}{n_c n_k} \,
        \frac{\binom{n_c}{n} \binom{N - n_c}{n_k - n}}{\binom{N}{n_k}}
    """
    num_rows = int(of_class.sum())
    class_sizes, class_times = np.unique(of_class, return_counts=True)
    cluster_sizes, cluster_times = np.unique(of_cluster, return_counts=True)
    total = 0.0
    for size, times in zip(class_sizes.tolist(), class_times.tolist(), strict=True):
        for other, other_times in zip(cluster_sizes.tolist(), cluster_times.tolist(), strict=True):
            total += times * other_times * _expected_term(size, other, num_rows)
    return total


def _expected_term(size: int, other: int, num_rows: int) -> float:
    """Compute the expected term of a class and a cluster with these sizes."""
    shared = np.arange(max(0, size + other - num_rows), min(size, other) + 1, dtype=np.float64)
    # Ratios of neighboring probabilities avoid the cancellation between logarithms of factorials
    before = shared[:-1]
    ratio = (size - before) * (other - before) / ((before + 1) * (num_rows - size - other + before + 1))
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratio))])
    chance = np.exp(logs - logs.max())
    positive = np.maximum(shared, 1.0)  # 0 log 0 is 0
    return float((chance * shared / num_rows * np.log(num_rows * positive / (size * other))).sum() / chance.sum())


def _sizes(labels: ArrayLike, clusters: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Count the rows of each class (C,), each cluster (K,), and each non-empty pair of both."""
    classes, groups = np.asarray(labels), np.asarray(clusters)
    if classes.ndim != 1 or classes.shape != groups.shape:
        raise DataError(f"labels {classes.shape} and clusters {groups.shape} do not match; expected (N,) and (N,).")
    if not len(classes):
        raise DataError("labels and clusters are empty; expected at least 1 row.")
    _, classes, of_class = np.unique(classes, return_inverse=True, return_counts=True)
    _, groups, of_cluster = np.unique(groups, return_inverse=True, return_counts=True)
    both = classes.astype(np.int64) * len(of_cluster) + groups  # number of each pair of class and cluster
    _, of_both = np.unique(both, return_counts=True)
    return of_class.astype(np.int64), of_cluster.astype(np.int64), of_both.astype(np.int64)


def _entropy(sizes: NDArray[np.int64]) -> float:
    share = sizes / sizes.sum()
    return float(-(share * np.log(share)).sum())


def _pairs(sizes: NDArray[np.int64]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())
