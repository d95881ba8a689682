"""Wilson's confidence interval of a share."""

from __future__ import annotations

import math
from statistics import NormalDist

from gluon_lifted.errors import ConfigError, DataError

LEVEL = 0.95


def wilson(share: float, sample: int, population: int, level: float = LEVEL) -> tuple[float, float]:
    r"""Interval of a population's share, from a sample that was drawn from it without replacement.

    Parameters
    ----------
    share : float
        Found in the sample, 0 ... 1. For the mean of values within [0, 1] that are not only 0 and 1 the interval is
        conservative, too wide if anything: the variance of such values is at most that of 0 and 1 with their mean.
    sample : int
        Rows drawn, at least 1.
    population : int
        Rows drawn from, at least the sample.
    level : float
        Share of samples whose interval holds the truth, about; within (0, 1).

    Returns
    -------
    low, high : float
        Within [0, 1], around the share; the share itself where the sample is the whole population.

    Raises
    ------
    DataError
        If the share is outside [0, 1] or NaN, the sample empty or larger than the population.
    ConfigError
        If the level is not within (0, 1).

    Notes
    -----
    Wilson 1927, *Probable Inference*, JASA 22: all p with :math:`|\hat p - p| \le z \sqrt{p (1 - p) / n'}`, the two
    ends being

    .. math::
        \frac{\hat p + \frac{z^2}{2 n'} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n'} + \frac{z^2}{4 n'^2}}}
        {1 + \frac{z^2}{n'}}, \qquad n' = n \frac{N - 1}{N - n}

    n rows without replacement from N are worth n' with it: the variance of their share is
    :math:`\frac{p (1 - p)}{n} \frac{N - n}{N - 1}` (Cochran 1977, *Sampling Techniques*, ch. 3).

    Examples
    --------
    >>> low, high = wilson(0.5, sample=100, population=200)
    >>> round(low, 4), round(high, 4)
    (0.4312, 0.5688)
    >>> wilson(0.5, sample=200, population=200)
    (0.5, 0.5)
    """
    if not 0 <= share <= 1:
        raise DataError(f"an interval needs a share within 0 and 1, found {share}.")
    if not 1 <= sample <= population:
        raise DataError(f"{sample} of {population} rows are no sample; expected 1 to {population}.")
    check_level(level)
    if sample == population:
        return share, share
    worth = sample * (population - 1) / (population - sample)
    z = NormalDist().inv_cdf((1 + level) / 2)
    widening = 1 + z**2 / worth
    center = (share + z**2 / (2 * worth)) / widening
    half = z * math.sqrt(share * (1 - share) / worth + z**2 / (4 * worth**2)) / widening
    # At shares of 0 and 1 an end is the share itself, but for rounding
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))


def check_level(level: float) -> None:
    """Raise a `ConfigError` unless the level is within (0, 1)."""
    if not 0 < level < 1:
        raise ConfigError(f"the level of an interval lies within 0 and 1, found {level}; 0.95 is usual.")
