import numpy as np
import pytest
from PIL import ImageFile

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.errors import ConfigError
from gluon_lifted.mx import (
    autograd,
    gluon,
    mx,
    nd,
)
from gluon_lifted.networks.backbones import BACKBONES, backbone_initializer, build_backbone
from gluon_lifted.networks.embedding_net import EmbeddingNet


def small_net(backbone="googlenet", dim=16):
    mx.random.seed(0)
    net = EmbeddingNet(build_backbone(backbone, 48), dim)
    net.initialize(backbone_initializer())
    net(nd.zeros((1, 3, 48, 48)))
    return net


@pytest.mark.parametrize("backbone", BACKBONES)
def test_eager_and_hybrid_are_identical(backbone):
    net = small_net(backbone)
    images = nd.random.normal(shape=(3, 3, 50, 57))
    eager = net(images).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    assert eager.shape == (3, 16)
    np.testing.assert_array_equal(eager, net(images).asnumpy())


@pytest.mark.slow
def test_gradients_are_the_same_eager_and_hybrid():
    gradients = []
    for hybrid in (False, True):
        net = small_net()
        if hybrid:
            net.hybridize(static_alloc=True, static_shape=True)
        mx.random.seed(3)
        with autograd.record():
            net(nd.ones((2, 3, 48, 48))).sum().backward()
        gradients.append({name: p.grad().asnumpy() for name, p in net.collect_params().items()})
    for name, gradient in gradients[0].items():
        np.testing.assert_allclose(gradients[1][name], gradient, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_learning_rate_and_decay_multipliers_act():
    """One SGD step with equal gradients: weights of the embedding layer move 10x, its biases 20x, others 1x and 2x."""
    net = small_net()
    net.set_learning_rates(embedding_mult=10, bias_mult=2)
    with autograd.record():  # the optimizer skips parameters that no backward pass has reached
        net(nd.ones((1, 3, 48, 48))).sum().backward()
    before = {}
    for name, parameter in net.collect_params().items():
        parameter.grad()[:] = 1
        before[name] = parameter.data().asnumpy()
    gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.001, "wd": 0.5}).step(1)
    for name, parameter in net.collect_params().items():
        factor = (10 if name.startswith("embedding") else 1) * (2 if name.endswith("bias") else 1)
        decay = 0.0 if name.endswith("bias") else 0.5
        expected = before[name] - 0.001 * factor * (1 + decay * before[name])
        np.testing.assert_allclose(parameter.data().asnumpy(), expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_embedding_weights_are_caffes_xavier():
    weight = small_net(dim=256).embedding.weight.data().asnumpy()
    limit = np.sqrt(3 / 1024)
    assert weight.shape == (256, 1024)
    assert limit * 0.999 < np.abs(weight).max() <= limit
    assert abs(weight.std() - limit / np.sqrt(3)) < 1e-4


@pytest.mark.slow
def test_dropout_acts_in_training_alone():
    net, images = small_net(), nd.ones((1, 3, 48, 48))
    np.testing.assert_array_equal(net(images).asnumpy(), net(images).asnumpy())
    with autograd.train_mode():
        assert not np.array_equal(net(images).asnumpy(), net(images).asnumpy())


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.slow
def test_smallest_crop_is_the_smallest(name):
    smallest = BACKBONES[name].smallest_crop
    for crop in (smallest, smallest - 1):
        net = build_backbone(name, smallest)
        net.initialize()
        if crop == smallest:
            assert net(nd.zeros((1, 3, crop, crop))).shape == (1, 1024, 1, 1)
        else:
            with pytest.raises(mx.MXNetError, match=r"kernel size \(\d\) exceeds input"):
                net(nd.zeros((1, 3, crop, crop))).wait_to_read()
    with pytest.raises(
        ConfigError, match=f"crop of {smallest - 1} px is too small for {name}. Give --crop {smallest} "
    ):
        build_backbone(name, smallest - 1)


def test_unknown_backbone():
    with pytest.raises(ConfigError, match=r"'vgg' is unknown\. Choose one of googlenet, googlenet_bn"):
        build_backbone("vgg", 227)


def test_gluoncv_leaves_truncated_images_an_error():
    build_backbone("googlenet_bn", 48)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
