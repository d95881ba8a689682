"""Weights out of a network, into a file, into another network: then every layer of the two gives the same."""

import functools
import json
import struct

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.card import ModelCard
from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.images import Preprocessing
from gluon_lifted.images.colors import COLORS
from gluon_lifted.mx import (
    gluon,
    gluoncv_network,
    mx,
    nd,
)
from gluon_lifted.networks.backbones import backbone_initializer, build_backbone
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.googlenet import caffe_name
from gluon_lifted.networks.pretrained.load_weights import load_weights
from gluon_lifted.training.freeze import freeze
from gluon_lifted.twins.names import twin_name

pytestmark = pytest.mark.slow

CROP = 64


def network(backbone, seed, dim=8):
    """With weights of its own in every layer, batch norm's statistics too."""
    mx.random.seed(seed)
    net = EmbeddingNet(build_backbone(backbone, CROP), dim)
    net.initialize(backbone_initializer())
    net(nd.zeros((1, 3, CROP, CROP)))
    rng = np.random.default_rng(seed)
    for name, parameter in net.collect_params().items():
        if not name.endswith("weight"):
            parameter.set_data(nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
    return net


@functools.lru_cache(maxsize=4)
def sender(backbone, seed=1):
    return network(backbone, seed)


@functools.lru_cache(maxsize=4)
def receiver(backbone):
    return network(backbone, 2)


def arrays(net):
    return {name: parameter.data().asnumpy() for name, parameter in net.collect_params().items()}


def assert_equal_arrays(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array)


def layers(net):
    """Outputs of every node of a network's backbone, in order."""
    images = nd.array(np.random.default_rng(5).normal(size=(2, 3, CROP, CROP)))
    internals = net.backbone(mx.sym.var("data")).get_internals()
    nodes = mx.sym.Group([internals[name] for name in internals.list_outputs() if name.endswith("_output")])
    block = gluon.SymbolBlock(nodes, mx.sym.var("data", dtype="float32"), net.backbone.collect_params())
    return [output.asnumpy() for output in block(images)]


def assert_same_layers(first, second):
    first_layers, second_layers = layers(first), layers(second)
    assert len(first_layers) == len(second_layers) > 60
    for left, right in zip(first_layers, second_layers, strict=True):
        np.testing.assert_array_equal(left, right)


def caffe_layers(net):
    blobs = {}
    for name, array in arrays(net.backbone).items():
        layer, blob = caffe_name(name.removeprefix("googlenet_"))
        blobs.setdefault(layer, [None, None])[blob] = array
    return blobs


def torchvision_state(net):
    state = {twin_name(name, "googlenet_bn"): array for name, array in arrays(net.backbone).items()}
    return state | {"conv1.bn.num_batches_tracked": np.array(3), "fc.weight": np.zeros((10, 1024), "f4")}


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        dtype = {"f4": "F32", "i8": "I64"}[array.dtype.str[1:]]
        content = array.tobytes()
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize("legacy", [False, True])
def test_caffemodel_out_and_in(tmp_path, write_caffemodel, legacy):
    net, path = receiver("googlenet"), tmp_path / "bvlc_googlenet.caffemodel"
    head = {"loss1/classifier": [np.ones((5, 4), "f4"), np.ones(5, "f4")]}
    write_caffemodel(path, caffe_layers(sender("googlenet")) | head, legacy)
    before = net.embedding.weight.data().asnumpy()
    report = load_weights(net, str(path), "googlenet")
    assert_same_layers(sender("googlenet"), net)
    assert report.format == "caffemodel"
    assert sorted(report.used) == sorted(net.backbone.collect_params())
    assert len(report.used) == 114
    assert report.skipped == ("loss1/classifier[0]", "loss1/classifier[1]")
    assert report.missing == ("embedding_weight", "embedding_bias")
    assert report.colors == "caffe"
    assert str(report) == f"{path} (caffemodel): 114 tensors used, 2 not needed; the embedding layer is new"
    np.testing.assert_array_equal(net.embedding.weight.data().asnumpy(), before)


def test_onnx_model_zoos_googlenet_out_and_in(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    net, path = receiver("googlenet"), tmp_path / "googlenet-9.onnx"
    blobs = caffe_layers(sender("googlenet")) | {"loss3/classifier": [np.ones((5, 4), "f4"), np.ones(5, "f4")]}
    tensors = [
        onnx.numpy_helper.from_array(array, f"{layer}_{suffix}_0")
        for layer, arrays in blobs.items()
        for suffix, array in zip("wb", arrays, strict=True)
    ]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "net", [], [], initializer=tensors)), path)
    report = load_weights(net, str(path), "googlenet")
    assert_same_layers(sender("googlenet"), net)
    assert (report.format, len(report.used), report.colors) == ("onnx", 114, "caffe")
    assert report.skipped == ("loss3/classifier_b_0", "loss3/classifier_w_0")


@pytest.mark.parametrize("kind", ["torch", "torch legacy", "safetensors"])
def test_torchvision_out_and_in(tmp_path, write_torch, kind):
    net, path = receiver("googlenet_bn"), tmp_path / "weights"
    state = torchvision_state(sender("googlenet_bn"))
    if kind == "safetensors":
        pytest.importorskip("safetensors", reason="safetensors is not installed")
        write_safetensors(path, state)
    else:
        write_torch(path, state, legacy=kind == "torch legacy")
    report = load_weights(net, str(path), "googlenet_bn")
    assert_same_layers(sender("googlenet_bn"), net)
    assert report.format == kind.split()[0]
    assert len(report.used) == 57 * 5  # convolution; gamma, beta, mean, variance
    assert report.skipped == ("conv1.bn.num_batches_tracked", "fc.weight")
    assert report.colors == "inception"


@pytest.mark.parametrize("backbone", ["googlenet_bn", "squeezenet1.1"])
def test_weights_that_export_wrote_give_the_same_output(tmp_path, backbone):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    pytest.importorskip("onnx", reason="export needs onnx")
    from export import export_weights

    run, net = tmp_path / "run", receiver(backbone)
    run.mkdir()
    card = ModelCard("run", backbone, 8, False, Preprocessing(256, CROP, *COLORS["imagenet"]), "folder", "loss")
    images = np.random.default_rng(5).normal(size=(2, 3, CROP, CROP)).astype("f4")
    freeze(sender(backbone), run, card, images)
    path = run / "weights.safetensors"
    assert export_weights(run, path).names.startswith("torchvision ")
    report = load_weights(net, str(path), backbone)
    assert (report.missing, report.colors) == ((), "imagenet")
    assert all(name.endswith(".num_batches_tracked") for name in report.skipped)
    assert_equal_arrays(arrays(net), arrays(sender(backbone)))
    np.testing.assert_array_equal(net(nd.array(images)).asnumpy(), np.load(run / "reference.npz")["embedding"])


def test_torchvisions_resnet_in(tmp_path, write_torch):
    net, state = receiver("resnet18_v1b"), {}
    for name, array in arrays(sender("resnet18_v1b").backbone).items():
        state[name.replace("gamma", "weight").replace("beta", "bias")] = array
    write_torch(tmp_path / "resnet18.pth", state | {"fc.weight": np.zeros((10, 512), "f4")})
    report = load_weights(net, str(tmp_path / "resnet18.pth"), "resnet18_v1b")
    assert (report.skipped, report.colors) == (("fc.weight",), "imagenet")
    assert_same_layers(sender("resnet18_v1b"), net)


def test_torchvisions_colors_are_what_its_network_computes_from_imagenets():
    """transform_input: x * (std / 0.5) + (mean - 0.5) / 0.5, of x normalized with ImageNet's mean and std."""
    pixels = np.array([0.0, 1.0, 100.0, 255.0])
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        x = (pixels / 255 - mean) / std
        expected = x * (std / 0.5) + (mean - 0.5) / 0.5
        colors, imagenet = COLORS["inception"], COLORS["imagenet"]
        np.testing.assert_allclose((pixels - colors.mean[channel]) / colors.std[channel], expected, atol=1e-12)
        np.testing.assert_allclose((pixels - imagenet.mean[channel]) / imagenet.std[channel], x, atol=1e-12)


@pytest.mark.parametrize("backbone", ["googlenet", "googlenet_bn"])
@pytest.mark.parametrize("way", ["export", "save_parameters"])
def test_our_own_params_fill_the_embedding_layer_too(tmp_path, backbone, way):
    net, other = receiver(backbone), sender(backbone)
    path = tmp_path / "model-0000.params"
    if way == "export":
        other.hybridize()
        other(nd.zeros((1, 3, CROP, CROP)))
        other.export(str(tmp_path / "model"))
    else:
        other.save_parameters(str(path))
    report = load_weights(net, str(path), backbone)
    assert_same_layers(other, net)
    assert (report.skipped, report.missing, report.colors) == ((), (), None)
    assert_equal_arrays(arrays(net), arrays(other))


@pytest.mark.parametrize("name", [*COLORS, None])
def test_colors_of_our_own_run_are_its_cards(tmp_path, name):
    sender("googlenet").save_parameters(str(tmp_path / "model-0000.params"))
    preprocessing = Preprocessing(256, CROP, *COLORS[name] if name else ("RGB", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))
    card = ModelCard("run", "googlenet", 8, False, preprocessing, "folder", "loss")
    (tmp_path / "card.json").write_text(card.to_json())
    report = load_weights(receiver("googlenet"), str(tmp_path / "model-0000.params"), "googlenet")
    assert (report.colors, report.interpolation) == (name or "RGB:1,2,3:4,5,6", "bilinear")


def test_interpolation_of_our_own_run_is_its_cards(tmp_path):
    path = tmp_path / "model-0000.params"
    sender("googlenet").save_parameters(str(path))
    assert load_weights(receiver("googlenet"), str(path), "googlenet").interpolation is None
    preprocessing = Preprocessing(256, CROP, interpolation="bicubic")
    card = ModelCard("run", "googlenet", 8, False, preprocessing, "folder", "loss")
    (tmp_path / "card.json").write_text(card.to_json())
    assert load_weights(receiver("googlenet"), str(path), "googlenet").interpolation == "bicubic"


def test_embedding_layer_of_another_width_is_left_alone(tmp_path):
    path = tmp_path / "x.params"
    network("googlenet", 1, dim=6).save_parameters(str(path))
    net = network("googlenet", 2, dim=8)
    before = net.embedding.weight.data().asnumpy()
    report = load_weights(net, str(path), "googlenet")
    assert report.missing == ("embedding_weight", "embedding_bias")
    assert report.skipped == ("embedding.bias", "embedding.weight")
    np.testing.assert_array_equal(net.embedding.weight.data().asnumpy(), before)


@pytest.mark.parametrize("way", ["save_parameters", "export", "save"])
def test_gluoncvs_params_by_all_their_names(tmp_path, way):
    backbone, path = "resnet18_v1b", tmp_path / "model-0000.params"
    classifier = gluoncv_network(backbone)
    classifier.initialize(mx.init.Xavier())
    images = nd.random.normal(shape=(2, 3, CROP, CROP))
    classifier.hybridize()
    classifier(images)
    if way == "export":
        classifier.export(str(tmp_path / "model"))
    else:
        (classifier.save_parameters if way == "save_parameters" else classifier.collect_params().save)(str(path))
    net = network(backbone, 2)
    report = load_weights(net, str(path), backbone)
    assert len(report.skipped) == 2  # fc
    assert report.missing == ("embedding_weight", "embedding_bias")
    assert report.colors == "imagenet"
    weight, bias = (parameter.data().asnumpy() for parameter in classifier.fc.collect_params().values())
    logits = net.backbone(images).asnumpy().reshape(2, -1) @ weight.T + bias
    np.testing.assert_allclose(logits, classifier(images).asnumpy(), rtol=1e-4, atol=1e-5)


def test_wrong_backbone_is_named(tmp_path, write_caffemodel, write_torch):
    write_caffemodel(tmp_path / "a.caffemodel", {"conv1/7x7_s2": [np.ones((1, 1, 1, 1), "f4")]})
    with pytest.raises(
        ConfigError, match=r"a\.caffemodel: weights from a caffemodel file fit --backbone googlenet, but not "
    ):
        load_weights(receiver("googlenet_bn"), str(tmp_path / "a.caffemodel"), "googlenet_bn")
    write_torch(tmp_path / "b.pth", {"w": np.ones(1, "f4")})
    message = r"b\.pth: weights from a torch file fit --backbone googlenet_bn, .* and others, but not googlenet\."
    with pytest.raises(ConfigError, match=message):
        load_weights(receiver("googlenet"), str(tmp_path / "b.pth"), "googlenet")


def test_variances_of_mobilenetv3_are_torchvisions_plus_the_difference_of_the_epsilons(tmp_path, write_torch):
    backbone, name = "mobilenetv3_small", "features.15.running_var"
    net = receiver(backbone)
    state = {twin_name(ours, backbone): array for ours, array in arrays(sender(backbone).backbone).items()}
    write_torch(tmp_path / "x.pth", state)
    load_weights(net, str(tmp_path / "x.pth"), backbone)
    expected = state["features.12.1.running_var"].astype(float) + 0.001 - 0.00001
    np.testing.assert_allclose(arrays(net)[name], expected, rtol=1e-7)
    sender(backbone).save_parameters(str(tmp_path / "x.params"))  # MXNet's own have MXNet's epsilon
    load_weights(net, str(tmp_path / "x.params"), backbone)
    np.testing.assert_array_equal(arrays(net)[name], arrays(sender(backbone))[name])


LAST = "inception5b.branch4.1.bn.running_var"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda state: state.clear() or state.update(w=np.ones(2, "f4")), ConfigError,
         "lacks 285 of the 285 tensors that googlenet_bn needs, such as 'conv1.conv.weight'"),
        (lambda state: state.pop(LAST), ConfigError, f"lacks 1 of the 285 tensors .*such as '{LAST}'"),
        (lambda state: state.update({LAST: np.ones(127, "f4")}), ConfigError,
         rf"tensor '{LAST}' has the shape \(127,\), but googlenet_bn needs \(128,\) for inception5b.3.1.1.running_var"),
        (lambda state: state.update({LAST: np.full(128, np.nan, "f4")}), DataError, f"'{LAST}' contains NaN, infinity"),
        (lambda state: state.update({LAST: np.full(128, 1e300)}), DataError, "or numbers too large for float32"),
        (lambda state: state.update({LAST: np.ones(128, "i8")}), DataError, f"'{LAST}' has the type int64; expected"),
    ],
)  # fmt: skip
def test_wrong_network_changes_nothing(tmp_path, write_torch, change, error, message):
    net, path = receiver("googlenet_bn"), tmp_path / "x.pth"
    before, state = arrays(net), torchvision_state(sender("googlenet_bn", 3))
    change(state)
    write_torch(path, state)
    with pytest.raises(error, match=rf"x\.pth: .*{message}"):
        load_weights(net, str(path), "googlenet_bn")
    assert_equal_arrays(arrays(net), before)


def test_network_that_has_seen_no_image_takes_weights_too(tmp_path):
    sender("googlenet").save_parameters(str(tmp_path / "x.params"))
    net = EmbeddingNet(build_backbone("googlenet", CROP), 8)
    net.initialize(backbone_initializer())
    load_weights(net, str(tmp_path / "x.params"), "googlenet")
    net(nd.zeros((1, 3, CROP, CROP)))
    assert_same_layers(sender("googlenet"), net)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"", "it is empty"),
        (
            b"<!DOCTYPE html><html>",
            "begins with b'<!DOCTYPE html><'\\); expected a .caffemodel, .onnx, .pth, .safetensors or",
        ),
        (b"\n\nsome text", "damaged"),
        (b"\x0a\x01a", "contains no tensors"),
        (b"PK\x03\x04 not a zip", "the archive is damaged"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "weights.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"weights\\.bin: .*{message}"):
        load_weights(receiver("googlenet"), str(path), "googlenet")


def test_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="Is a directory"):
        load_weights(receiver("googlenet"), str(tmp_path), "googlenet")
