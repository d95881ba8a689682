"""Averages of weights against plain loops in float64."""

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import gluon, mx, nd
from gluon_lifted.training.weight_average import WeightAverage

DEVICES = [mx.cpu(0), mx.cpu(1)]


def parameters():
    made = {name: gluon.Parameter(name, shape=(3, 2)) for name in ("a", "b")}
    for parameter in made.values():
        parameter.initialize(mx.init.Normal(), ctx=DEVICES)
    return made


def copies(parameter):
    return [array.asnumpy() for array in parameter.list_data()]


@pytest.mark.parametrize("horizon", [1, 3, 100])
def test_the_average_is_a_mean_and_then_decays(horizon):
    trained, rng = parameters(), np.random.default_rng(0)
    average, expected = WeightAverage(trained, horizon), 0.0
    for number in range(1, 8):
        weight = rng.normal(size=(3, 2))
        trained["a"].set_data(nd.array(weight))
        average.update()
        share = 1 / number if number < horizon else 1 / horizon
        expected = (1 - share) * expected + share * weight
        half = WeightAverage(trained, horizon)
        half.restore(average.state())
        average = half  # resumed after every iteration
    average.swap()
    for copy in copies(trained["a"]):
        np.testing.assert_allclose(copy, expected, rtol=1e-5, atol=1e-6)
    average.swap()
    for copy in copies(trained["a"]):
        np.testing.assert_array_equal(copy, weight.astype(np.float32))


def test_before_the_first_update_the_weights_stay():
    trained = parameters()
    before = copies(trained["b"])
    WeightAverage(trained, 5).swap()
    np.testing.assert_array_equal(copies(trained["b"]), before)


def test_averages_of_another_network_are_refused():
    average = WeightAverage(parameters(), 5)
    state = average.state() | {"average:b": np.zeros((4, 2), np.float32)}
    with pytest.raises(ValueError, match=r"average:b is \(4, 2\), expected \(3, 2\)"):
        average.restore(state)
