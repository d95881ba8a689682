"""wilson against SciPy, and its coverage."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.metrics import intervals
from gluon_lifted.metrics.intervals import wilson
from tests.examples import examples


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize(("hits", "sample"), [(0, 1), (1, 1), (0, 40), (3, 40), (20, 40), (39, 40), (700, 5924)])
def test_of_an_endless_population_it_is_scipys(hits, sample, level):
    expected = stats.binomtest(hits, sample).proportion_ci(level, method="wilson")
    assert wilson(hits / sample, sample, 10**15, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


@examples(200, derandomize=True)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0, 1), st.floats(0.01, 0.999))
@example(90, 10, 0.0, 0.95)
@example(90, 10, 1.0, 0.95)
def test_its_ends_are_the_shares_that_are_just_not_too_far(rest, sample, share, level):
    """The definition: |share - end| is z standard deviations of a share of such samples, where end is the truth."""
    population = sample + rest
    low, high = wilson(share, sample, population, level)
    assert 0 <= low <= share <= high <= 1
    z = stats.norm.ppf((1 + level) / 2)
    for end in (low, high):
        variance = end * (1 - end) / sample * (population - sample) / (population - 1)
        assert (share - end) ** 2 == pytest.approx(z**2 * variance, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("population", "sample"), [(400, 100), (400, 300), (60, 30)])
def test_it_holds_the_truth_as_often_as_it_says(population, sample):
    """All shares of the population, each with every possible sample, so that the test is exact."""
    held = []
    for hits in range(population + 1):
        counts = np.arange(max(0, hits - (population - sample)), min(hits, sample) + 1)
        chance = stats.hypergeom.pmf(counts, population, hits, sample)
        ends = [wilson(count / sample, sample, population) for count in counts]
        held.append(chance[[low <= hits / population <= high for low, high in ends]].sum())
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_it_is_conservative_for_values_between():
    """Values of 0.2 to 0.8 vary less than 0 and 1 do."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0.2, 0.8, 1000)
    held = 0
    for _ in range(500):
        low, high = wilson(float(rng.choice(values, 200, replace=False).mean()), 200, 1000)
        held += low <= values.mean() <= high
    assert held >= 0.95 * 500


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("sample", [1, 50])
def test_the_whole_population_leaves_nothing_open(share, sample):
    assert wilson(share, sample, sample) == (share, share)


@pytest.mark.parametrize(
    ("share", "sample", "population", "message"),
    [
        (1.5, 10, 20, "share is 1.5; expected 0 to 1"),
        (-0.1, 10, 20, "share is -0.1"),
        (math.nan, 10, 20, "share is nan"),
        (0.5, 0, 20, "sample is 0 of 20 rows"),
        (0.5, 21, 20, "sample is 21 of 20 rows"),
    ],
)
def test_bad_samples(share, sample, population, message):
    with pytest.raises(DataError, match=message):
        wilson(share, sample, population)


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_bad_levels(level):
    with pytest.raises(ConfigError, match="level is "):
        wilson(0.5, 10, 20, level)


def test_the_example_of_the_docstring():
    actual = doctest.testmod(intervals)
    assert actual.attempted >= 3
    assert actual.failed == 0
