"""torchvision's googlenet, written down in NumPy as its source describes it, against ours with its weights."""

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import nd
from gluon_lifted.networks.backbones import backbone_initializer, build_backbone
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.pretrained.load_weights import load_weights
from gluon_lifted.networks.pretrained.names import torchvision_names

# torchvision/models/googlenet.py: inception_block(in, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj)
BLOCKS = {
    "inception3a": (192, 64, 96, 128, 16, 32, 32), "inception3b": (256, 128, 128, 192, 32, 96, 64),
    "inception4a": (480, 192, 96, 208, 16, 48, 64), "inception4b": (512, 160, 112, 224, 24, 64, 64),
    "inception4c": (512, 128, 128, 256, 24, 64, 64), "inception4d": (512, 112, 144, 288, 32, 64, 64),
    "inception4e": (528, 256, 160, 320, 32, 128, 128), "inception5a": (832, 256, 160, 320, 32, 128, 128),
    "inception5b": (832, 384, 192, 384, 48, 128, 128),
}  # fmt: skip
RNG = np.random.default_rng(0)


def basic_conv(name, inputs, outputs, kernel):
    """Random weights of one BasicConv2d."""
    scale = np.sqrt(1 / (inputs * kernel * kernel))
    return {
        f"{name}.conv.weight": RNG.normal(0, scale, (outputs, inputs, kernel, kernel)).astype("f4"),
        f"{name}.bn.weight": RNG.uniform(0.5, 1.5, outputs).astype("f4"),
        f"{name}.bn.bias": RNG.normal(0, 0.3, outputs).astype("f4"),
        f"{name}.bn.running_mean": RNG.normal(0, 0.3, outputs).astype("f4"),
        f"{name}.bn.running_var": RNG.uniform(0.01, 1.5, outputs).astype("f4"),  # small ones show the epsilon
        f"{name}.bn.num_batches_tracked": np.array(1),
    }


def state_dict():
    state = basic_conv("conv1", 3, 64, 7) | basic_conv("conv2", 64, 64, 1) | basic_conv("conv3", 64, 192, 3)
    for block, (inputs, c1, c3_reduce, c3, c5_reduce, c5, proj) in BLOCKS.items():
        state |= basic_conv(f"{block}.branch1", inputs, c1, 1)
        state |= basic_conv(f"{block}.branch2.0", inputs, c3_reduce, 1)
        state |= basic_conv(f"{block}.branch2.1", c3_reduce, c3, 3)
        state |= basic_conv(f"{block}.branch3.0", inputs, c5_reduce, 1)
        state |= basic_conv(f"{block}.branch3.1", c5_reduce, c5, 3)  # 3x3, vision's issue 906
        state |= basic_conv(f"{block}.branch4.1", inputs, proj, 1)
    return state | {"fc.weight": np.zeros((5, 1024), "f4"), "fc.bias": np.zeros(5, "f4")}


def convolve(state, name, x, stride=1):
    """BasicConv2d: convolution without bias, batch norm with eps=0.001, ReLU."""
    weight = state[f"{name}.conv.weight"].astype(float)
    k = weight.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)
    gamma, beta, mean, variance = (
        state[f"{name}.bn.{kind}"].astype(float)[:, None, None]
        for kind in ("weight", "bias", "running_mean", "running_var")
    )
    return np.maximum((y - mean) / np.sqrt(variance + 0.001) * gamma + beta, 0)


def max_pool(x, k, stride, padding=0):
    """MaxPool2d(ceil_mode=True): padded to whole windows with what is never the largest."""
    height, width = ((size + 2 * padding - k + stride - 1) // stride * stride + k for size in x.shape[2:])
    x = np.pad(
        x,
        ((0, 0), (0, 0), (padding, height - x.shape[2] - padding), (padding, width - x.shape[3] - padding)),
        constant_values=-np.inf,
    )
    return np.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))[:, :, ::stride, ::stride].max((4, 5))


def torchvision_googlenet(state, x):
    """`GoogLeNet._forward` up to the average pooling."""

    def conv(name, y, stride=1):
        return convolve(state, name, y, stride)

    x = max_pool(conv("conv1", x, stride=2), 3, 2)
    x = max_pool(conv("conv3", conv("conv2", x)), 3, 2)
    for block in BLOCKS:
        x = np.concatenate(
            [
                conv(f"{block}.branch1", x),
                conv(f"{block}.branch2.1", conv(f"{block}.branch2.0", x)),
                conv(f"{block}.branch3.1", conv(f"{block}.branch3.0", x)),
                conv(f"{block}.branch4.1", max_pool(x, 3, 1, padding=1)),
            ],
            axis=1,
        )
        if block == "inception3b":
            x = max_pool(x, 3, 2)
        elif block == "inception4e":
            x = max_pool(x, 2, 2)
    return x.mean((2, 3))


# torchvision/models/resnet.py: resnetN(block, layers)
RESNETS = {18: (2, (2, 2, 2, 2)), 34: (2, (3, 4, 6, 3)), 50: (3, (3, 4, 6, 3)), 101: (3, (3, 4, 23, 3))}
NORM = ("weight", "bias", "running_mean", "running_var")


def resnet_names(convolutions, layers):
    """Parameters of `ResNet` of BasicBlock (2 convolutions) or Bottleneck (3), without fc."""
    names = {"conv1.weight", *(f"bn1.{kind}" for kind in NORM)}
    for stage, blocks in enumerate(layers, 1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            for number in range(1, convolutions + 1):
                names |= {f"{at}.conv{number}.weight", *(f"{at}.bn{number}.{kind}" for kind in NORM)}
            if block == 0 and (stage > 1 or convolutions == 3):
                names |= {f"{at}.downsample.0.weight", *(f"{at}.downsample.1.{kind}" for kind in NORM)}
    return names


@pytest.mark.parametrize("backbone", ["googlenet_bn", *(f"resnet{depth}_v1b" for depth in RESNETS)])
def test_names_are_torchvisions(backbone):
    if backbone == "googlenet_bn":
        expected = {name for name in state_dict() if not name.startswith("fc.") and "num_batches" not in name}
    else:
        expected = resnet_names(*RESNETS[int(backbone[6:].removesuffix("_v1b"))])
    names = torchvision_names(EmbeddingNet(build_backbone(backbone, 64), 4), backbone)
    assert len(set(names.values())) == len(names)
    assert set(names.values()) == expected | {"embedding.weight", "embedding.bias"}


@pytest.mark.slow
def test_ours_with_torchvisions_weights_is_torchvisions(tmp_path, write_torch):
    state = state_dict()
    write_torch(tmp_path / "googlenet.pth", state)
    net = EmbeddingNet(build_backbone("googlenet_bn", 64), 4)
    net.initialize(backbone_initializer())
    load_weights(net, str(tmp_path / "googlenet.pth"), "googlenet_bn")
    images = RNG.normal(size=(2, 3, 64, 64)).astype("f4")
    expected = torchvision_googlenet(state, images.astype(float))
    embedding = net.backbone(nd.array(images)).asnumpy().reshape(2, 1024)
    np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-4 * expected.std())
