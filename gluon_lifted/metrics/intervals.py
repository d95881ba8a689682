"""Wilson's confidence interval of a proportion."""

from __future__ import annotations

import math
from statistics import NormalDist

from gluon_lifted.errors import ConfigError, DataError

LEVEL = 0.95


def wilson(share: float, sample: int, population: int, level: float = LEVEL) -> tuple[float, float]:
    r"""Compute a confidence interval of a population's share from a sample drawn without replacement.

    Parameters
    ----------
    share : float
        Share in the sample, 0 to 1. For the mean of values within [0, 1] the interval is conservative (too wide if
        anything): their variance is at most that of values 0 and 1 with the same mean.
    sample : int
        Number of rows drawn, at least 1.
    population : int
        Number of rows in the population, at least ``sample``.
    level : float
        Approximate share of samples whose interval contains the true share, in (0, 1).

    Returns
    -------
    low, high : float
        Bounds within [0, 1]. Both equal the share if the sample is the whole population.

    Raises
    ------
    DataError
        If the share is outside [0, 1] or NaN, or the sample is empty or larger than the population.
    ConfigError
        If the level is not within (0, 1).

    Notes
    -----
    Wilson 1927, *Probable Inference*, JASA 22: all p with :math:`|\hat p - p| \le z \sqrt{p (1 - p) / n'}`. The
    bounds are

    .. math::
        \frac{\hat p + \frac{z^2}{2 n'} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n'} + \frac{z^2}{4 n'^2}}}
        {1 + \frac{z^2}{n'}}, \qquad n' = n \frac{N - 1}{N - n}

    n rows drawn from N without replacement are worth n' rows with replacement: the variance of their share is
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
        raise DataError(f"share is {share}; expected 0 to 1.")
    if not 1 <= sample <= population:
        raise DataError(f"sample is {sample} of {population} rows; expected 1 to {population}.")
    check_level(level)
    if sample == population:
        return share, share
    worth = sample * (population - 1) / (population - sample)
    z = NormalDist().inv_cdf((1 + level) / 2)
    widening = 1 + z**2 / worth
    center = (share + z**2 / (2 * worth)) / widening
    half = z * math.sqrt(share * (1 - share) / worth + z**2 / (4 * worth**2)) / widening
    # At shares of 0 and 1 a bound equals the share, except for rounding
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))


def check_level(level: float) -> None:
    """Raise `ConfigError` unless the level is within (0, 1)."""
    if not 0 < level < 1:
        raise ConfigError(f"level is {level}; expected a number between 0 and 1, such as 0.95.")
