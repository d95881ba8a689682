import ctypes
from types import SimpleNamespace

import pytest

from gluon_lifted.hardware import gpus
from gluon_lifted.hardware.gpus import (
    Gpu,
    list_gpus,
    mxnet_can_run,
    why_not,
)

MODELS = [("NVIDIA A100-SXM4-80GB", (8, 0), 85_000_000_000), ("NVIDIA H200", (9, 0), 150_000_000_000)]


def fake_driver(models, init=0):
    """A libcuda of these GPUs; device handles are numbers that differ from the devices' positions."""

    def handle(device):
        return models[device.value - 100]

    def set_value(pointer, value):
        pointer._obj.value = value
        return 0

    def name(buffer, length, device):
        buffer.value = handle(device)[0].encode()[: length - 1]
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: init,
        cuDeviceGetCount=lambda count: set_value(count, len(models)),
        cuDeviceGet=lambda device, number: set_value(device, 100 + number),
        cuDeviceGetName=name,
        cuDeviceTotalMem_v2=lambda size, device: set_value(size, handle(device)[2]),
        cuDeviceGetAttribute=lambda value, code, device: set_value(value, handle(device)[1][{75: 0, 76: 1}[code]]),
    )


def test_gpus_of_the_driver(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake_driver(MODELS))
    assert list_gpus() == [Gpu(*model) for model in MODELS]


def test_no_driver_no_gpu_no_permission(monkeypatch):
    def absent(name):
        raise OSError(f"{name}: cannot open shared object file")

    for driver in (absent, lambda name: fake_driver([]), lambda name: fake_driver(MODELS, init=100)):
        monkeypatch.setattr(gpus.ctypes, "CDLL", driver)
        assert list_gpus() == []


@pytest.mark.parametrize(
    ("capability", "runs"),
    [
        ((3, 7), False),
        ((5, 0), True),
        ((7, 5), True),
        ((8, 6), True),
        ((8, 9), True),
        ((9, 0), False),
        ((12, 0), False),
    ],
)
def test_code_in_mxnets_wheels(capability, runs):
    assert mxnet_can_run(Gpu("any", capability, 1)) is runs


def test_reason_names_the_gpu_and_the_cure():
    reason = why_not(Gpu("NVIDIA H200", (9, 0), 1))
    assert reason.startswith("NVIDIA H200 has compute capability 9.0")
    assert "Train on the CPU or on an older GPU" in reason
