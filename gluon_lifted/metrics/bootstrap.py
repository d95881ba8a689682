"""Confidence intervals of means over queries by a bootstrap over classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.metrics.intervals import LEVEL, check_level

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

DRAWS_AT_ONCE = 1 << 20  # classes, in three arrays of 8 MB


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, with its interval. Undefined numbers are NaN."""

    value: float
    low: float
    high: float


class ClassBootstrap:
    r"""Percentile intervals of means over queries, from classes that are drawn with replacement.

    A drawn class contributes all of its queries, since images of a class are hit or missed together. Drawing single
    queries would make intervals too narrow. The draws depend only on the seed and the number of classes, so all models
    are evaluated on the same draws.

    Percentile intervals: Efron and Tibshirani 1993, *An Introduction to the Bootstrap*, ch. 13. Drawing whole
    clusters: Field and Welsh 2007, *Bootstrapping clustered data*, JRSS B 69.

    Parameters
    ----------
    classes : array_like, (Q,)
        Class of each query: integers or strings.
    resamples : int
        Number of resamples. Each draws as many classes as there are.
    seed : int
        Seed of the draws.

    Raises
    ------
    DataError
        If there are no queries, or ``classes`` is not (Q,).
    ConfigError
        If ``resamples`` is below 1.

    Notes
    -----
    With :math:`s_c` the sum of a class's values and :math:`n_c` their number, a resample b of the C classes that
    draws class c :math:`w_{bc}` times, :math:`\sum_c w_{bc} = C`, has the mean

    .. math:: m_b = \frac{\sum_c w_{bc} s_c}{\sum_c w_{bc} n_c}

    Examples
    --------
    >>> bootstrap = ClassBootstrap(["cat", "cat", "dog", "dog", "eel"])
    >>> bootstrap.interval([1, 1, 0, 0, 1])
    Estimate(value=0.6, low=0.0, high=1.0)
    >>> bootstrap.difference([1, 1, 0, 0, 1], [0.5, 0.5, 0, 0, 0.5])
    Estimate(value=0.3, low=0.0, high=0.5)
    """

    def __init__(self, classes: ArrayLike, resamples: int = 2000, seed: int = 0) -> None:
        names = np.asarray(classes)
        if names.ndim != 1 or not len(names):
            raise DataError(f"classes has shape {names.shape}; expected (Q,) with at least 1 query.")
        if resamples < 1:
            raise ConfigError(f"resamples is {resamples}; expected at least 1.")
        distinct, self._class_of = np.unique(names, return_inverse=True)
        self._num_classes = len(distinct)
        self._resamples = resamples
        self._seed = seed

    def interval(self, values: ArrayLike, level: float = LEVEL) -> Estimate:
        """Compute the mean of the defined values with its interval.

        Parameters
        ----------
        values : array_like, (Q,)
            NaN if a query has no value, which excludes it from the mean. A class without values is drawn like others
            and adds nothing. A resample without values is excluded.
        level : float
            Share of resamples within the interval, in (0, 1).

        Returns
        -------
        Estimate
            The bounds are NaN if fewer than two classes have a value: their variation is unknown then. The mean is
            also NaN if none has.

        Raises
        ------
        DataError
            If ``values`` is not (Q,), or a value is infinite.
        ConfigError
            If the level is not within (0, 1).
        """
        check_level(level)
        table = self._per_class(values)
        return _estimate(_mean(table), self._resampled_means(table), level)

    def difference(self, values: ArrayLike, others: ArrayLike, level: float = LEVEL) -> Estimate:
        """Compute the mean of ``values`` minus the mean of ``others``, with its interval.

        Both means of a resample are over the same classes, so a class that is hard for both does not count. Each mean
        excludes only its own missing values.

        Parameters
        ----------
        values, others : array_like, (Q,)
            As for `interval`.
        level : float
            Share of resamples within the interval, in (0, 1).

        Returns
        -------
        Estimate
            The bounds are NaN if either has values in fewer than two classes; all numbers if either has none.

        Raises
        ------
        DataError
            If ``values`` or ``others`` is not (Q,), or a value is infinite.
        ConfigError
            If the level is not within (0, 1).
        """
        check_level(level)
        ours, theirs = self._per_class(values), self._per_class(others)
        resampled = self._resampled_means(ours) - self._resampled_means(theirs)
        return _estimate(_mean(ours) - _mean(theirs), resampled, level)

    def _per_class(self, values: ArrayLike) -> NDArray[np.float64]:
        """Sum the defined values of each class and count them: (2, C)."""
        column = np.asarray(values, np.float64)
        if column.shape != self._class_of.shape:
            raise DataError(
                f"values {column.shape} do not match classes {self._class_of.shape}; expected one per query."
            )
        if np.isinf(column).any():
            raise DataError(f"value {int(np.argmax(np.isinf(column)))} is infinite; expected finite numbers or NaN.")
        defined = ~np.isnan(column)
        sums = np.bincount(self._class_of, np.where(defined, column, 0.0), self._num_classes)
        return np.stack([sums, np.bincount(self._class_of, defined, self._num_classes)])

    def _resampled_means(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute (resamples,) means. NaN without any value; all NaN if fewer than two classes have a value."""
        means = np.full(self._resamples, np.nan)
        if np.count_nonzero(table[1]) < 2:
            return means
        rng = np.random.default_rng(self._seed)
        chunk = max(1, DRAWS_AT_ONCE // self._num_classes)
        for start in range(0, self._resamples, chunk):
            part = means[start : start + chunk]
            drawn = rng.integers(self._num_classes, size=(len(part), self._num_classes))
            sums, counts = table[0][drawn].sum(axis=1), table[1][drawn].sum(axis=1)
            np.divide(sums, counts, out=part, where=counts > 0)
        return means


def _mean(table: NDArray[np.float64]) -> float:
    total, count = table.sum(axis=1).tolist()
    return total / count if count else math.nan


def _estimate(value: float, resampled: NDArray[np.float64], level: float) -> Estimate:
    defined = resampled[~np.isnan(resampled)]
    if not len(defined):
        return Estimate(value, math.nan, math.nan)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Estimate(value, low, high)
