"""A batch in parts gives the gradients of the whole batch."""

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.batches.loader import Batch
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.mx import mx
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.training.trainer import Trainer

LABELS = np.array([0, 0, 1, 1, 2, 2])
IMAGES = np.random.default_rng(0).normal(size=(6, 3, 48, 48)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 4])
def test_parts_give_the_gradients_of_the_whole_batch(size):
    # Without dropout, which draws other numbers for a part than for all images
    config = {"backbone": "googlenet"}
    settings = {"dim": 4, "crop": 48, "batch_size": 6, "images_per_class": 2, "dropout": 0.0}
    whole = Trainer(TrainConfig(**config, **settings), [mx.cpu()])
    parts = Trainer(TrainConfig(**config, **settings, images_at_a_time=size), [mx.cpu()])
    losses = [trainer.step(Batch(IMAGES, LABELS), 0) for trainer in (whole, parts)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for (name, a), b in zip(whole.net.collect_params().items(), parts.net.collect_params().values(), strict=True):
        one, other = a.grad().asnumpy(), b.grad().asnumpy()
        atol = 1e-6 if name == "embedding_bias" else 1e-4 * np.abs(one).max()  # no distance depends on the bias
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=atol, err_msg=name)


def test_gradients_do_not_add_up_over_batches():
    first = Trainer(TrainConfig(backbone="googlenet", dim=4, crop=48, batch_size=6, images_per_class=2,
                                dropout=0.0, learning_rate=0.0, images_at_a_time=2), [mx.cpu()])  # fmt: skip
    gradients = []
    for i in range(2):
        first.step(Batch(IMAGES, LABELS), i)
        gradients.append(first.net.embedding.weight.grad().asnumpy())
    np.testing.assert_allclose(*gradients, rtol=1e-5)
    assert np.abs(gradients[0]).max() > 0


def test_both_passes_drop_the_same(monkeypatch):
    """The loss reads the embeddings that the second pass propagates through."""
    trainer = Trainer(
        TrainConfig(backbone="googlenet", dim=4, crop=48, batch_size=6, images_per_class=2, dropout=0.5,
                    images_at_a_time=2), [mx.cpu()])  # fmt: skip
    embed, seen = EmbeddingNet.__call__, []

    def remember(net, images):
        output = embed(net, images)
        seen.append(output.asnumpy())
        return output

    monkeypatch.setattr(EmbeddingNet, "__call__", remember)
    trainer.step(Batch(IMAGES, LABELS), 0)
    assert len(seen) == 6
    np.testing.assert_array_equal(np.concatenate(seen[:3]), np.concatenate(seen[3:]))
    assert not np.array_equal(seen[0], embed(trainer.net, mx.nd.array(IMAGES[:2])).asnumpy())  # dropout was on


@pytest.mark.parametrize(("size", "devices", "calls"), [(6, 1, 1), (3, 2, 2), (2, 2, 8)])
def test_a_share_that_fits_takes_one_pass(monkeypatch, size, devices, calls):
    settings = {"backbone": "googlenet", "dim": 4, "crop": 48, "batch_size": 6, "images_per_class": 2}
    trainer = Trainer(TrainConfig(**settings, images_at_a_time=size), [mx.cpu(i) for i in range(devices)])
    embed, seen = EmbeddingNet.__call__, []

    def count(net, images):
        seen.append(len(images))
        return embed(net, images)

    monkeypatch.setattr(EmbeddingNet, "__call__", count)
    trainer.step(Batch(IMAGES, LABELS), 0)
    assert (len(seen), max(seen)) == (calls, size)


@pytest.mark.slow
def test_running_statistics_change_once_for_each_part():
    settings = {"backbone": "mobilenetv2_0.25", "dim": 4, "crop": 32, "batch_size": 6, "images_per_class": 2,
                "dropout": 0.0, "learning_rate": 0.0, "margin": 50.0}  # fmt: skip  # no batch is skipped
    parts = Trainer(TrainConfig(**settings, images_at_a_time=3), [mx.cpu()])
    alone = Trainer(TrainConfig(**settings), [mx.cpu()])
    images = IMAGES[:, :, :32, :32]
    parts.step(Batch(images, LABELS), 0)
    for half in (slice(3), slice(3, 6)):
        alone.step(Batch(images[half], LABELS[half]), 0)
    assert parts.skipped.dead == alone.skipped.dead == 0
    for name, parameter in alone.net.collect_params().items():
        if name.endswith(("running_mean", "running_var")):
            other = parts.net.collect_params()[name].data().asnumpy()
            np.testing.assert_allclose(parameter.data().asnumpy(), other, rtol=1e-4, atol=1e-6, err_msg=name)
