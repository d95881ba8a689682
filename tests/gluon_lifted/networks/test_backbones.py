import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.errors import ConfigError
from gluon_lifted.mx import (
    autograd,
    gluon,
    gluoncv_network,
    gluoncv_zoo,
    mx,
    nd,
)
from gluon_lifted.networks.backbones import backbone_initializer, build_backbone, classifier_names
from gluon_lifted.networks.embedding_net import EmbeddingNet

pytestmark = pytest.mark.slow


def small_net(backbone, crop, dim=8):
    mx.random.seed(0)
    net = EmbeddingNet(build_backbone(backbone, crop), dim)
    net.initialize(backbone_initializer())
    return net


@pytest.mark.parametrize(
    ("backbone", "crop"),
    [
        ("resnet18_v1", 32), ("resnet50_v1b", 32), ("mobilenetv2_0.5", 32), ("squeezenet1.0", 32), ("densenet121", 32),
        ("mobilenetv3_small", 32), ("inceptionv3", 75), ("dla34", 32), ("cifar_resnet20_v1", 32), ("resnest14", 32),
    ],
)  # fmt: skip
def test_gluoncvs_classifiers_train(backbone, crop):
    """One step: finite embeddings, finite gradients, down to the first layer."""
    net, images = small_net(backbone, crop), nd.random.normal(shape=(2, 3, crop, crop))
    net.hybridize(static_alloc=True, static_shape=True)
    with autograd.record():
        embedding = net(images)
        embedding.square().sum().backward()
    assert embedding.shape == (2, 8)
    assert np.isfinite(embedding.asnumpy()).all()
    learned = {name: parameter for name, parameter in net.collect_params().items() if parameter.grad_req != "null"}
    gradients = {name: parameter.grad().asnumpy() for name, parameter in learned.items()}
    assert [name for name, gradient in gradients.items() if not np.isfinite(gradient).all()] == []
    assert next(iter(gradients.values())).any()
    before = embedding.asnumpy()
    gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 1e-3}).step(1)
    assert not np.array_equal(net(images).asnumpy(), before)


def test_vgg_gives_its_last_hidden_layer():
    net = small_net("vgg11_bn", 32)
    assert net.backbone(nd.zeros((1, 3, 32, 32))).shape == (1, 4096)
    assert np.isfinite(net(nd.random.normal(shape=(1, 3, 32, 32))).asnumpy()).all()


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # MXNet's, while it reads a symbol
def test_exported_and_saved_networks_give_the_same(tmp_path):
    net, images = small_net("resnet18_v1b", 48), nd.random.normal(shape=(2, 3, 48, 48))
    eager = net(images).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    np.testing.assert_array_equal(net(images).asnumpy(), eager)
    net.export(str(tmp_path / "model"))
    files = [str(tmp_path / name) for name in ("model-symbol.json", "model-0000.params")]
    imported = gluon.SymbolBlock.imports(files[0], ["data"], files[1])
    np.testing.assert_allclose(imported(images).asnumpy(), eager, rtol=1e-5, atol=1e-6)
    net.save_parameters(str(tmp_path / "x.params"))
    other = small_net("resnet18_v1b", 48)
    other.load_parameters(str(tmp_path / "x.params"))
    np.testing.assert_array_equal(other(images).asnumpy(), eager)
    assert list(net.collect_params()) == list(other.collect_params())


def test_googlenet_bn_is_gluoncvs_googlenet():
    classifier, images = gluoncv_network("googlenet"), nd.random.normal(shape=(1, 3, 224, 224))
    classifier.initialize(mx.init.Xavier())
    expected = classifier(images).asnumpy()
    backbone = build_backbone("googlenet_bn", 224)
    backbone.initialize()
    for name, parameter in backbone.collect_params().items():
        parameter.set_data(classifier._collect_params_with_prefix()[name].data())
    features = backbone(images)
    assert features.shape == (1, 1024, 1, 1)
    np.testing.assert_allclose(classifier.output(features).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_every_name_of_gluoncv_is_sorted():
    names, everything = classifier_names(), set(gluoncv_zoo().get_model_list())
    others = everything - set(names) - {"googlenet"}
    assert len(names) == 126
    assert {"resnet50_v1b", "resnet50_v1d_0.11", "cifar_resnet20_v1", "vgg16", "senet_154", "hrnet_w18_c"} <= set(names)
    assert {"ssd_300_vgg16_atrous_voc", "fcn_resnet50_ade", "resnet18_v1b_kinetics400", "mobilenet1.0_int8",
            "hrnet_w18_small_v1_s", "simple_pose_resnet18_v1b", "siamrpn_alexnet_v2_otb15"} <= others  # fmt: skip
    assert not any("googlenet" in name for name in names)


@pytest.mark.parametrize(
    ("name", "crop", "message"),
    [
        ("resnet50v1b", 64, "'resnet50v1b' is unknown. Choose one of googlenet, googlenet_bn, .*such as resnet50_v1b"),
        ("Inception", 64, "such as .*inceptionv3"),
        ("???", 64, r"such as resnet50_v1b\."),
        ("ssd_300_vgg16_atrous_voc", 300, "is unknown"),
        ("inceptionv3", 74, "inceptionv3 cannot take a crop of 74 px. The next larger one that works is --crop 75"),
        ("hrnet_w18_small_v1_c", 227, "cannot take a crop of 227 px. The next larger one that works is --crop 253"),
        ("residualattentionnet56", 300, "residualattentionnet56 cannot take a crop of 300 px. Choose another backbone"),
        ("googlenet_bn", 30, "crop of 30 px is too small for googlenet_bn. Give --crop 31 or more"),
    ],
)  # fmt: skip
def test_names_and_crops_that_cannot_work(name, crop, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone(name, crop)
