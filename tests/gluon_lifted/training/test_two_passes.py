"""A batch in parts gives the gradients of the whole batch."""

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.batches.loader import Batch
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.mx import mx
from gluon_lifted.training.trainer import Trainer

pytestmark = pytest.mark.slow

SETTINGS = {"backbone": "googlenet", "dim": 4, "crop": 48, "batch_size": 6, "images_per_class": 2, "dropout": 0.0}
LABELS = np.array([0, 0, 1, 1, 2, 2])
IMAGES = np.random.default_rng(0).normal(size=(6, 3, 48, 48)).astype(np.float32)


def trainer_of(**changes):
    return Trainer(TrainConfig(**SETTINGS | changes), [mx.cpu()])


@pytest.fixture(scope="module")
def whole():
    """A trainer after a step, and the loss. Without dropout, which draws other numbers for a part than for all."""
    trainer = trainer_of()
    return trainer, trainer.step(Batch(IMAGES, LABELS), 0)


@pytest.mark.parametrize("size", [1, 4, 6])
def test_parts_give_the_gradients_of_the_whole_batch(whole, size):
    (whole, loss), parts = whole, trainer_of(images_at_a_time=size)
    assert parts.step(Batch(IMAGES, LABELS), 0) == pytest.approx(loss, rel=1e-5)
    for (name, a), b in zip(whole.net.collect_params().items(), parts.net.collect_params().values(), strict=True):
        one, other = a.grad().asnumpy(), b.grad().asnumpy()
        atol = 1e-6 if name == "embedding_bias" else 1e-4 * np.abs(one).max()  # no distance depends on the bias
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=atol, err_msg=name)


def test_gradients_do_not_add_up_over_batches():
    first = trainer_of(learning_rate=0.0, images_at_a_time=2)
    gradients = []
    for i in range(2):
        first.step(Batch(IMAGES, LABELS), i)
        gradients.append(first.net.embedding.weight.grad().asnumpy())
    np.testing.assert_allclose(*gradients, rtol=1e-5)
    assert np.abs(gradients[0]).max() > 0


def test_both_passes_drop_the_same():
    """Without training, the loss's embeddings are those that the second pass propagates through."""
    trainer = trainer_of(dropout=0.5, images_at_a_time=2)
    seen = []
    net = trainer.net
    original = type(net).__call__

    class Spy:
        def __getattr__(self, name):
            return getattr(net, name)

        def __call__(self, images):
            output = original(net, images)
            seen.append(output.asnumpy())
            return output

    trainer.net = Spy()
    trainer.step(Batch(IMAGES, LABELS), 0)
    assert len(seen) == 6
    np.testing.assert_array_equal(np.concatenate(seen[:3]), np.concatenate(seen[3:]))
    assert not np.array_equal(seen[0], original(net, mx.nd.array(IMAGES[:2])).asnumpy())  # dropout was on


def test_running_statistics_change_once_for_each_part():
    small = {"backbone": "cifar_resnet20_v1", "crop": 32}
    whole, parts = trainer_of(**small), trainer_of(**small, images_at_a_time=6)
    for trainer in (whole, parts):
        trainer.step(Batch(IMAGES[:, :, :32, :32], LABELS), 0)
    for name, parameter in whole.net.collect_params().items():
        if name.endswith(("running_mean", "running_var")):
            other = parts.net.collect_params()[name].data().asnumpy()
            np.testing.assert_allclose(parameter.data().asnumpy(), other, rtol=1e-4, atol=1e-6, err_msg=name)
