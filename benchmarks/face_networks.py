"""Two face networks with the shapes that InsightFace's MXNet models have: ArcFace's ResNet and MobileFaceNet.

The published models are symbols that InsightFace's scripts built. These are Gluon blocks of the same layers: pixels of
0-255 are normalized inside, activations are PReLU, and the embedding is a fully connected layer between batch norms.

References: Deng et al. 2019, "ArcFace"; Chen et al. 2018, "MobileFaceNets".
"""

from __future__ import annotations

from typing import Any

from gluon_lifted.mx import gluon

nn = gluon.nn
SIDE, DIM = 112, 512
ARCFACE_STAGES = {"arcface_r18": (2, 2, 2, 2), "arcface_r50": (3, 4, 14, 3)}
# MobileFaceNet: width of a stage's output, width inside its units, number of residual units
MOBILE_STAGES = ((64, 128, 4), (128, 256, 6), (128, 512, 2))


def face_network(name: str) -> Any:
    """Build a network of `ARCFACE_STAGES`, or ``mobilefacenet``."""
    if name == "mobilefacenet":
        return mobilefacenet()
    return arcface_resnet(ARCFACE_STAGES[name])


class Normalized(gluon.HybridBlock):
    """A network that takes pixels of 0-255."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def hybrid_forward(self, F: Any, pixels: Any) -> Any:
        return self.network((pixels - 127.5) * 0.0078125)


class Residual(gluon.HybridBlock):
    """The sum of a body and a shortcut, by default the input itself."""

    def __init__(self, body: Any, shortcut: Any = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def hybrid_forward(self, F: Any, data: Any) -> Any:
        return self.body(data) + (self.shortcut(data) if self.shortcut else data)


def sequence(*blocks: Any) -> Any:
    """Run blocks one after the other."""
    net = nn.HybridSequential()
    net.add(*blocks)
    return net


def norm() -> Any:
    return nn.BatchNorm(epsilon=2e-5)


def convolution(width: int, kernel: int, stride: int = 1, groups: int = 1) -> Any:
    """Convolve without a bias; padding keeps the size."""
    return nn.Conv2D(width, kernel, stride, kernel // 2, groups=groups, use_bias=False)


def arcface_resnet(stages: tuple[int, ...]) -> Any:
    """Build an improved residual network: batch norm around each convolution, PReLU, a stride in the second."""
    blocks = [convolution(64, 3), norm(), nn.PReLU(in_channels=64)]
    for width, count in zip((64, 128, 256, 512), stages, strict=True):
        for index in range(count):
            stride = 2 if index == 0 else 1
            body = sequence(
                *(norm(), convolution(width, 3), norm(), nn.PReLU(in_channels=width)),
                *(convolution(width, 3, stride), norm()),
            )
            blocks.append(Residual(body, None if index else sequence(convolution(width, 1, stride), norm())))
    return Normalized(sequence(*blocks, norm(), nn.Dropout(0.4), nn.Dense(DIM), nn.BatchNorm(scale=False)))


def mobilefacenet() -> Any:
    """Build bottlenecks of pointwise and depthwise convolutions, then a depthwise convolution of the whole map."""
    blocks = [active(64, 3, 2), active(64, 3, groups=64)]
    for width, inner, count in MOBILE_STAGES:
        blocks.append(bottleneck(width, inner, 2))
        blocks += [Residual(bottleneck(width, min(inner, 256), 1)) for _ in range(count)]
    whole = nn.Conv2D(512, 7, groups=512, use_bias=False)
    return Normalized(sequence(*blocks, active(512, 1), whole, norm(), nn.Dense(DIM), nn.BatchNorm(scale=False)))


def active(width: int, kernel: int, stride: int = 1, groups: int = 1) -> Any:
    """Convolve, normalize and apply PReLU."""
    return sequence(convolution(width, kernel, stride, groups), norm(), nn.PReLU(in_channels=width))


def bottleneck(width: int, inner: int, stride: int) -> Any:
    """Widen, convolve each channel, narrow."""
    narrow = sequence(convolution(width, 1), norm())
    return sequence(active(inner, 1), active(inner, 3, stride, inner), narrow)
