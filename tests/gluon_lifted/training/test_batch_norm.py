import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import autograd, mx, nd, nn
from gluon_lifted.training.batch_norm import BatchNormStatistics


def train_on(net, devices):
    """A forward and backward pass on other numbers per device."""
    for index, device in enumerate(devices):
        with autograd.record():
            out = net(nd.random.normal(index + 1, 2, shape=(4, 3, 5, 5), ctx=device))
        out.backward()


@pytest.fixture
def trained():
    devices = [mx.cpu(0), mx.cpu(1)]
    net = nn.HybridSequential()
    net.add(nn.BatchNorm(in_channels=3), nn.Conv2D(2, 3, in_channels=3), nn.BatchNorm(in_channels=2))
    net.initialize(ctx=devices)
    train_on(net, devices)
    parameters = net.collect_params()
    return net, devices, {name: parameter for name, parameter in parameters.items() if "running" in name}


def values(parameters):
    return {name: [array.asnumpy() for array in item.list_data()] for name, item in parameters.items()}


def test_a_copy_restores_every_device_bit_for_bit(trained):
    net, devices, parameters = trained
    statistics, before = BatchNormStatistics(net.collect_params()), values(parameters)
    copies = statistics.copy()
    train_on(net, devices)
    assert not any(np.array_equal(after, before[name]) for name, after in values(parameters).items())
    statistics.restore(copies)
    for name, arrays in values(parameters).items():
        np.testing.assert_array_equal(arrays, before[name], name)


def test_the_average_of_the_devices(trained):
    net, _, parameters = trained
    expected = {name: np.mean(arrays, axis=0) for name, arrays in values(parameters).items()}
    BatchNormStatistics(net.collect_params()).average()
    for name, arrays in values(parameters).items():
        np.testing.assert_allclose(arrays, [expected[name]] * 2, rtol=1e-6, err_msg=name)


def test_a_network_without_batch_norm():
    statistics = BatchNormStatistics({})
    statistics.restore(statistics.copy())
    statistics.average()
