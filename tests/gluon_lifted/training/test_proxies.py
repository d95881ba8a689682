"""Proxies in training: own rate, no decay, several devices, checkpoints, skipped batches, none in the export."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.batches.loader import Batch
from gluon_lifted.card import read_card
from gluon_lifted.config.resolve import config_of, resolve
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.contract import RUN_FILES
from gluon_lifted.devices import mxnet_contexts
from gluon_lifted.mx import autograd, nd
from gluon_lifted.training.data import load_data
from gluon_lifted.training.proxies import share_proxy_gradient
from gluon_lifted.training.run import train
from gluon_lifted.training.trainer import Trainer

pytestmark = pytest.mark.slow

CLASSES, PROXIES = 4, "proxy:proxies"  # the latter's name in a state
CONFIG = TrainConfig(
    loss="proxy-anchor", margin=0.1, proxy_lr_mult=100.0, backbone="cifar_resnet20_v1", dim=8, batch_size=6,
    images_per_class=2, resize=36, crop=32, dropout=0.0, learning_rate=1e-4, schedule="constant",
)  # fmt: skip


def trainer_of(config, devices="cpu", num_classes=CLASSES):
    return Trainer(config, mxnet_contexts(devices), num_classes=num_classes)


def some_batches(count):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, 6, 3, 32, 32)).astype(np.float32)
    return [Batch(part, rng.integers(0, CLASSES, 6)) for part in images]


def trained(trainer, batches, first=0):
    for iteration, batch in enumerate(batches, start=first):
        trainer.step(batch, iteration)
    return trainer.state()


@pytest.mark.parametrize("loss", ["proxy-anchor", "normalized-softmax"])
@pytest.mark.parametrize("devices", ["cpu", "cpu:0,cpu:1"])
def test_a_resumed_run_has_the_same_proxies_bit_for_bit(loss, devices):
    config, batches = replace(CONFIG, loss=loss), some_batches(4)
    whole = trained(trainer_of(config, devices), batches)
    half = trained(trainer_of(config, devices), batches[:2])
    again = trainer_of(replace(config, seed=1), devices)  # its own draw is replaced
    again.restore(half)
    parts = trained(again, batches[2:], first=2)
    assert abs(whole[PROXIES] - half[PROXIES]).max() > 0
    for name, array in whole.items():
        if "running" not in name:  # which rounding may move: state() gives all devices their mean
            np.testing.assert_array_equal(parts[name], array, name)


def test_two_devices_train_proxies_as_one_does():
    config = replace(CONFIG, backbone="googlenet", crop=48, resize=48, optimizer="sgd", proxy_lr_mult=3.0)
    rng = np.random.default_rng(0)
    batch = Batch(rng.normal(size=(7, 3, 48, 48)).astype(np.float32), np.array([0, 0, 1, 1, 2, 3, 3]))
    states = []
    for devices in ("cpu", "cpu:0,cpu:1"):
        trainer = trainer_of(config, devices)
        before = trainer.state()[PROXIES]
        states.append(trained(trainer, [batch, batch])[PROXIES])
        copies = [copy.asnumpy() for copy in trainer.loss.proxies.list_data()]
        for copy in copies:
            np.testing.assert_array_equal(copy, copies[0])
    np.testing.assert_allclose(states[0], states[1], rtol=1e-4)
    assert abs(states[0] - before).max() > 1e-4


def test_only_one_device_of_one_host_contributes_to_the_sum():
    loss = trainer_of(CONFIG, "cpu:0,cpu:1").loss
    for scale, expected in ((8.0, 8.0), (0.0, 0.0)):
        for device, copy in enumerate(loss.proxies.list_grad()):
            copy[:] = 1 + device
        share_proxy_gradient(loss, scale)
        first, second = (copy.asnumpy() for copy in loss.proxies.list_grad())
        np.testing.assert_array_equal(first, expected)
        np.testing.assert_array_equal(second, 0)


@pytest.mark.parametrize(("mult", "decay"), [(0.0, 0.5), (1.0, 0.0), (5.0, 0.0), (5.0, 0.5)])
def test_proxies_have_their_own_rate_and_do_not_decay(mult, decay):
    config = replace(CONFIG, optimizer="sgd", momentum=0.0, proxy_lr_mult=mult, weight_decay=decay)
    trainer, (batch,) = trainer_of(config), some_batches(1)
    proxies = trainer.loss.proxies.data().asnumpy()
    embedding, loss_and_gradient = nd.zeros((6, 8)), trainer._loss_and_gradient

    def remember(embeddings, batch):
        embedding[:] = embeddings[0].detach()
        return loss_and_gradient(embeddings, batch)

    trainer._loss_and_gradient = remember
    trainer.step(batch, 0)
    moved = trainer.loss.proxies.data().asnumpy() - proxies
    trainer.loss.proxies.set_data(nd.array(proxies))
    with autograd.record():
        loss = trainer.loss(embedding, nd.array(batch.labels))
    loss.backward()
    np.testing.assert_allclose(
        moved, -config.learning_rate * mult * trainer.loss.proxies.grad().asnumpy(), rtol=1e-3, atol=1e-7
    )


def test_a_skipped_batch_leaves_the_proxies_as_they_were():
    trainer, batches = trainer_of(CONFIG), some_batches(2)
    before = trained(trainer, batches[:1])
    batches[1].images[0, 0, 0, 0] = np.inf
    after = trained(trainer, batches[1:], first=1)
    assert trainer.skipped.not_finite == 1
    for name, array in after.items():
        if name != "skipped":
            np.testing.assert_array_equal(array, before[name], name)


def test_proxies_follow_the_seed_and_not_the_network():
    first, same, other = (trainer_of(replace(CONFIG, seed=seed)).state() for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[PROXIES], same[PROXIES])
    assert (first[PROXIES] != other[PROXIES]).all()
    plain = trainer_of(replace(CONFIG, loss="lifted")).state()
    for name, array in plain.items():
        if name.startswith("weight:"):
            np.testing.assert_array_equal(array, first[name], name)


def test_a_checkpoint_of_other_classes_is_refused():
    with pytest.raises(ValueError, match=r"proxy:proxies is \(5, 8\), expected \(4, 8\)"):
        trainer_of(CONFIG).restore(trainer_of(CONFIG, num_classes=5).state())


@pytest.mark.parametrize("loss", ["multi-similarity", "proxy-anchor", "normalized-softmax"])
def test_a_short_run_freezes_a_network_without_proxies(photos, tmp_path, loss):
    small = {"dim": 8, "iterations": 3, "batch_size": 6, "images_per_class": 2, "resize": 36, "crop": 32}
    given = {"data": str(photos), "loss": loss, "backbone": "cifar_resnet20_v1", "validation_classes": 0.0}
    report = train(config_of(resolve(given | small)), tmp_path / "run")
    assert report.finished
    assert report.recall is not None
    for name in RUN_FILES:
        content = (tmp_path / "run" / name).read_bytes()
        assert b"prox" not in content.replace(b"proxy-anchor", b"").replace(b"ProxyAnchorLoss", b""), name
        assert b"loss_" not in content, name
    card = read_card(tmp_path / "run" / "card.json")
    assert (card.distance, card.normalized) == ("cosine", True)


def test_recall_is_measured_by_the_distance_of_the_loss(photos, tmp_path, monkeypatch):
    """Embeddings of two directions, whose lengths say nothing about the class."""
    config = replace(CONFIG, data=str(photos), iterations=0, validation_classes=0.0, eval_every=1)
    table = load_data(config).watched
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], np.float32)[table.labels]
    rows *= np.random.default_rng(0).permutation(len(rows))[:, None] + 1
    monkeypatch.setattr(Trainer, "pool_and_embed", lambda self, batches: iter([(rows, rows)]))
    monkeypatch.setattr(Trainer, "embed", lambda self, batches: rows)
    recalls = {}
    for loss in ("normalized-softmax", "lifted"):
        train(replace(config, loss=loss, iterations=1), tmp_path / loss)
        (line,) = (tmp_path / loss / "metrics.jsonl").read_text().splitlines()
        recalls[loss] = json.loads(line)["recall@1"]
        result = json.loads((tmp_path / loss / "result.json").read_text())
        (measured,) = (entry for entry in result["validation"]["embeddings"] if entry["name"] == "embedding")
        assert measured["recall"]["1"]["value"] == recalls[loss]
    assert recalls["normalized-softmax"] == 1 > recalls["lifted"]
