"""ClassBootstrap against resampled lists, and the coverage of its interval."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.metrics import bootstrap
from gluon_lifted.metrics.bootstrap import ClassBootstrap, Estimate
from tests.examples import examples

NAN = math.nan


def mean(values):
    kept = [value for value in values if not math.isnan(value)]
    return sum(kept) / len(kept) if kept else NAN


def resampled_lists(classes, columns, resamples, seed):
    """The means of each column, resample by resample, from lists of the queries of the classes drawn."""
    names = sorted(set(classes))
    queries = {name: [query for query, other in enumerate(classes) if other == name] for name in names}
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = [query for index in rng.integers(len(names), size=len(names)) for query in queries[names[index]]]
        yield [mean([column[query] for query in drawn]) for column in columns]


def ends(values, level):
    kept = [value for value in values if not math.isnan(value)]
    return tuple(np.percentile(kept, [50 - 50 * level, 50 + 50 * level]))


@st.composite
def measured(draw):
    """Classes, and two columns of values or NaN, each with values in two classes at least."""
    num = draw(st.integers(4, 30))
    classes = [0, 0, 1, 1, *draw(st.lists(st.integers(-2, 5), min_size=num - 4, max_size=num - 4))]
    value = st.floats(-2, 2) | st.just(NAN)
    columns = [draw(st.lists(value, min_size=num, max_size=num)) for _ in range(2)]
    for column in columns:
        column[1], column[2] = 0.25, 0.75
    return classes, *columns


@examples(60, derandomize=True)
@given(measured(), st.integers(0, 2**40), st.sampled_from([0.5, 0.95]))
def test_it_equals_a_bootstrap_of_lists(case, seed, level):
    classes, values, others = case
    drawn = list(resampled_lists(classes, (values, others), 40, seed))
    bootstrap = ClassBootstrap(classes, 40, seed)
    actual = bootstrap.interval(values, level)
    assert actual.value == pytest.approx(mean(values), abs=1e-12)
    assert (actual.low, actual.high) == pytest.approx(ends([ours for ours, _ in drawn], level), abs=1e-12)
    actual = bootstrap.difference(values, others, level)
    assert actual.value == pytest.approx(mean(values) - mean(others), abs=1e-12)
    assert (actual.low, actual.high) == pytest.approx(ends([ours - other for ours, other in drawn], level), abs=1e-12)


def many_classes():
    """Classes of 1 to 6 queries, and values that differ by class more than within."""
    rng = np.random.default_rng(1)
    classes = np.repeat(np.arange(51), rng.integers(1, 7, 51))
    return classes, rng.normal(size=51)[classes] + rng.normal(size=len(classes)) / 4


def test_how_many_draws_are_made_at_once_changes_nothing(monkeypatch):
    classes, values = many_classes()
    expected = ClassBootstrap(classes, 101).interval(values)
    for at_once in (1, 51, 51 * 7 + 3):
        monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", at_once)
        assert ClassBootstrap(classes, 101).interval(values) == expected


def test_memory_is_bounded(monkeypatch):
    """2,000 resamples of 11,316 classes at once would be 181 MB."""
    largest = 0

    class Watched:
        def __init__(self, seed):
            self.rng = np.random.Generator(np.random.PCG64(seed))

        def integers(self, high, size):
            nonlocal largest
            largest = max(largest, math.prod(size))
            return self.rng.integers(high, size=size)

    monkeypatch.setattr(np.random, "default_rng", Watched)
    classes = np.arange(60_502) % 11_316
    ClassBootstrap(classes, 300).interval(classes % 3)
    assert 11_316 <= largest <= 1 << 20


def test_the_seed_decides_and_the_order_of_the_models_does_not():
    classes, values = many_classes()
    first_bootstrap, second_bootstrap = ClassBootstrap(classes, seed=3), ClassBootstrap(classes, seed=3)
    first = first_bootstrap.interval(values), first_bootstrap.interval(-values)
    assert (second_bootstrap.interval(-values), second_bootstrap.interval(values)) == first[::-1]
    assert ClassBootstrap(classes, seed=4).interval(values) != first[0]


def test_neither_the_order_of_the_queries_nor_the_kind_of_names_counts():
    classes, values = many_classes()
    order = np.random.default_rng(0).permutation(len(classes))
    names = np.array([f"class {number:02}" for number in classes])
    expected = ClassBootstrap(classes).interval(values)
    actual = ClassBootstrap(names[order]).interval(values[order])
    assert (actual.low, actual.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_difference_that_all_classes_share_is_certain():
    classes, values = many_classes()
    actual = ClassBootstrap(classes).difference(values + 0.125, values)
    assert (actual.value, actual.low, actual.high) == pytest.approx((0.125, 0.125, 0.125), abs=1e-12)


@pytest.mark.slow
def test_it_holds_the_truth_where_drawing_queries_does_not():
    """60 classes of 1 to 8 queries; the truth is 0. A percentile interval of so few holds it a bit less than 95 %."""
    rng = np.random.default_rng(5)
    of_classes = of_queries = of_difference = 0
    for seed in range(200):
        classes = np.repeat(np.arange(60), rng.integers(1, 9, 60))
        values = rng.normal(size=60)[classes] + rng.normal(size=len(classes)) / 2
        others = values + rng.normal(size=60)[classes] / 8
        by_class = ClassBootstrap(classes, 300, seed)
        of_classes += holds(by_class.interval(values))
        of_difference += holds(by_class.difference(values, others))
        of_queries += holds(ClassBootstrap(np.arange(len(classes)), 300, seed).interval(values))
    assert 0.9 * 200 <= of_classes <= 0.985 * 200
    assert 0.9 * 200 <= of_difference <= 0.985 * 200
    assert of_queries < 0.8 * 200


def holds(estimate):
    return estimate.low <= 0 <= estimate.high


@pytest.mark.parametrize(
    ("classes", "values", "value"),
    [
        ([7, 7, 7], [0.0, 0.5, 1.0], 0.5),  # one class
        ([0, 0, 1], [0.0, 1.0, NAN], 0.5),  # one class with a value
        ([0, 0, 1], [NAN, NAN, NAN], NAN),
        ([0], [NAN], NAN),
    ],
)
def test_where_nothing_tells_how_classes_differ_there_is_no_interval(classes, values, value):
    expected = pytest.approx((value, NAN, NAN), nan_ok=True)
    actual = ClassBootstrap(classes).interval(values)
    assert (actual.value, actual.low, actual.high) == expected
    full = np.arange(len(classes)) / 8
    for actual in (ClassBootstrap(classes).difference(values, full), ClassBootstrap(classes).difference(full, values)):
        assert math.isnan(actual.low)
        assert math.isnan(actual.high)
        assert math.isnan(actual.value) == math.isnan(value)


def test_classes_without_values_add_nothing():
    """Two of four classes have no value: resamples of only these two, one in sixteen, are left out."""
    actual = ClassBootstrap([0, 0, 1, 2, 3], 500).interval([1, 1, 3, NAN, NAN], level=0.9)
    assert actual == Estimate(5 / 3, 1.0, 3.0)


@pytest.mark.parametrize(
    ("classes", "values", "message"),
    [
        ([], [], r"classes has shape \(0,\)"),
        ([[0, 1]], [[0, 1]], r"classes has shape \(1, 2\)"),
        ([0, 1], [0.5], r"values \(1,\) do not match classes \(2,\)"),
        ([0, 1], [0.5, math.inf], "value 1 is infinite"),
    ],
)
def test_bad_input(classes, values, message):
    with pytest.raises(DataError, match=message):
        ClassBootstrap(classes).interval(values)


def test_bad_options():
    with pytest.raises(ConfigError, match="resamples is 0; expected at least 1"):
        ClassBootstrap([0, 1], resamples=0)
    with pytest.raises(ConfigError, match="level is "):
        ClassBootstrap([0, 1]).interval([0, 1], level=95)
    with pytest.raises(ConfigError, match="level is "):
        ClassBootstrap([0, 1]).difference([0, 1], [0, 1], level=95)


def test_the_example_of_the_docstring():
    actual = doctest.testmod(bootstrap)
    assert actual.attempted >= 3
    assert actual.failed == 0
