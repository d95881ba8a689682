"""Learning rates against the formulas of their sources, written out iteration by iteration."""

import math
from itertools import pairwise

import pytest

from gluon_lifted.config.schedules import learning_rate
from gluon_lifted.config.train_config import SCHEDULES, TrainConfig


def rates(**values):
    config = TrainConfig(learning_rate=0.4, **values)
    return [learning_rate(config, i) for i in range(config.iterations)]


def test_constant():
    assert rates(schedule="constant", iterations=3) == [0.4] * 3


def test_linear_falls_by_equal_steps_and_never_to_0():
    assert rates(schedule="linear", iterations=4) == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_cosine():
    expected = [0.2 * (1 + math.cos(math.pi * i / 5)) for i in range(5)]
    assert rates(schedule="cosine", iterations=5) == pytest.approx(expected)


def test_step_is_caffes():
    expected = [0.4 * 0.5 ** math.floor(i / 3) for i in range(10)]
    assert rates(schedule="step", step_every=3, step_factor=0.5, iterations=10) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warmup_rises_from_0_to_the_whole_rate(schedule):
    factors = rates(schedule=schedule, warmup=3, iterations=8, step_every=100)
    assert factors[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert factors[3] == pytest.approx(0.4)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(factors[3:]))


def test_linear_after_warmup_ends_one_step_above_0():
    assert rates(schedule="linear", warmup=4, iterations=8)[4:] == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_warmup_longer_than_the_run():
    assert rates(schedule="linear", warmup=10, iterations=2) == pytest.approx([0.4 / 11, 0.8 / 11])
