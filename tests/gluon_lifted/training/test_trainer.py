"""What a step and an evaluation ask of the devices."""

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.batches.loader import Batch
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.devices import mxnet_contexts
from gluon_lifted.mx import mx, nd
from gluon_lifted.training.trainer import Trainer

pytestmark = pytest.mark.slow

CONFIG = TrainConfig(backbone="cifar_resnet20_v1", dim=4, crop=32, resize=32, clip_gradient=1.0)


def images(count):
    return np.random.default_rng(0).normal(size=(count, 3, 32, 32)).astype(np.float32)


@pytest.mark.parametrize("spec", ["cpu:0", "cpu:0,cpu:1"])
def test_the_host_waits_for_the_devices_once_a_step(monkeypatch, spec):
    trainer = Trainer(CONFIG, mxnet_contexts(spec))
    (batch,) = trainer.copied_ahead([Batch(images(4), np.array([0, 0, 1, 1]))])
    waits = []
    for name in ("asnumpy", "wait_to_read", "_sync_copyfrom"):
        wait = getattr(nd.NDArray, name)
        monkeypatch.setattr(nd.NDArray, name, lambda *args, name=name, wait=wait: waits.append(name) or wait(*args))
    for iteration in range(2):
        trainer.step(batch, iteration)
    assert waits == ["asnumpy"] * 2
    assert trainer.optimizer.state()["updates"] == 2


def test_evaluation_uses_all_devices_and_keeps_the_order():
    """Batches of 4 and 2 images on three devices: one of them idles at the end."""
    trainer = Trainer(CONFIG, mxnet_contexts("cpu:0,cpu:1,cpu:2"))
    everything = images(10)
    batches = [Batch(everything[rows], np.zeros(len(rows), int)) for rows in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9])]
    used, net = set(), trainer.net
    trainer.net = lambda share: used.add(share.context) or net(share)
    embedding = trainer.embed(batches)
    assert used == {mx.cpu(0), mx.cpu(1), mx.cpu(2)}
    assert embedding.dtype == np.float32
    row_by_row = [net(nd.array(everything[row : row + 1])).asnumpy()[0] for row in range(10)]
    np.testing.assert_allclose(embedding, row_by_row, rtol=1e-4, atol=1e-5)
