"""GoogLeNet (Szegedy et al. 2015, "Going deeper with convolutions", Table 1), without the auxiliary heads.

It equals the Caffe model zoo's ``bvlc_googlenet`` layer for layer, whose weights the paper starts from: ReLU after
every convolution, local response normalization, pooling that rounds up, true 5x5 branches. `caffe_name` maps our
parameter names to its layers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gluon_lifted.mx import HybridBlock, nn


class InceptionWidths(NamedTuple):
    """Output channels of the six convolutions of one inception block, in the order of Table 1."""

    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce5x5: int
    conv5x5: int
    pool_proj: int


# Szegedy et al. 2015, Table 1: columns #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
INCEPTION = {
    "inception_3a": InceptionWidths(64, 96, 128, 16, 32, 32),
    "inception_3b": InceptionWidths(128, 128, 192, 32, 96, 64),
    "inception_4a": InceptionWidths(192, 96, 208, 16, 48, 64),
    "inception_4b": InceptionWidths(160, 112, 224, 24, 64, 64),
    "inception_4c": InceptionWidths(128, 128, 256, 24, 64, 64),
    "inception_4d": InceptionWidths(112, 144, 288, 32, 64, 64),
    "inception_4e": InceptionWidths(256, 160, 320, 32, 128, 128),
    "inception_5a": InceptionWidths(256, 160, 320, 32, 128, 128),
    "inception_5b": InceptionWidths(384, 192, 384, 48, 128, 128),
}
POOL_AFTER = {"inception_3b": "pool3_3x3_s2", "inception_4e": "pool4_3x3_s2"}
CAFFE_BLOCKS = (*INCEPTION, "conv1", "conv2")


def _conv(channels: int, kernel: int, name: str, stride: int = 1) -> Any:
    """Build a convolution + ReLU that keeps the size at stride 1."""
    return nn.Conv2D(channels, kernel, stride, padding=kernel // 2, activation="relu", prefix=f"{name}_")


def _max_pool(name: str, stride: int = 2) -> Any:
    """Build 3x3 max pooling. Stride 2 rounds up as in Caffe (112 -> 56). Stride 1 keeps the size."""
    return nn.MaxPool2D(3, stride, padding=1 if stride == 1 else 0, ceil_mode=True, prefix=f"{name}_")


class LRN(HybridBlock):
    """Local response normalization over 5 channels: ``x / (1 + 1e-4/5 * sum x^2)^0.75``.

    The constants are from ``norm1`` and ``norm2`` of ``bvlc_googlenet``. k is 1 in Caffe. MXNet's default is 2.

    Notes
    -----
    On CPUs the gradient of MXNet 1.9's LRN is wrong, by 25 to 50 % of its norm, if the next layer passes its gradient
    in oneDNN's blocked layout, as convolutions and pooling do. A slice only accepts the plain layout, so a slice that
    cuts nothing follows the LRN. `export` removes it.
    """

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Normalize ``x`` (N, C, H, W) across channels. The shape stays."""
        x = F.LRN(x, nsize=5, alpha=1e-4, beta=0.75, knorm=1, name="fwd")
        return F.slice_axis(x, axis=0, begin=0, end=None, name="plain")


class Inception(HybridBlock):
    """Four branches, joined along the channels: 1x1; 1x1 -> 3x3; 1x1 -> 5x5; 3x3 max pool -> 1x1."""

    def __init__(self, widths: InceptionWidths, prefix: str) -> None:
        super().__init__(prefix=prefix)
        with self.name_scope():
            self.conv1x1 = _conv(widths.conv1x1, 1, "1x1")
            self.reduce3x3 = _conv(widths.reduce3x3, 1, "3x3_reduce")
            self.conv3x3 = _conv(widths.conv3x3, 3, "3x3")
            self.reduce5x5 = _conv(widths.reduce5x5, 1, "5x5_reduce")
            self.conv5x5 = _conv(widths.conv5x5, 5, "5x5")
            self.pool = _max_pool("pool", stride=1)
            self.pool_proj = _conv(widths.pool_proj, 1, "pool_proj")

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Concatenate the branches' outputs for ``x`` (N, C, H, W)."""
        return F.concat(
            self.conv1x1(x),
            self.conv3x3(self.reduce3x3(x)),
            self.conv5x5(self.reduce5x5(x)),
            self.pool_proj(self.pool(x)),
            dim=1,
            name="output",
        )  # (N, conv1x1 + conv3x3 + conv5x5 + pool_proj, H, W)


class GoogLeNet(HybridBlock):
    """Images (N, 3, H, W) -> ``pool5`` (N, 1024, 1, 1), float32.

    The last pooling is global. It equals the paper's 7x7 pooling at crops of 224 and 227 px. Smaller crops also work,
    down to 47 px, where pool4 gets its minimum of 3x3.

    Examples
    --------
    >>> from gluon_lifted.mx import nd
    >>> net = GoogLeNet()
    >>> net.initialize()
    >>> net(nd.zeros((2, 3, 64, 64))).shape
    (2, 1024, 1, 1)
    """

    def __init__(self, prefix: str = "googlenet_") -> None:
        super().__init__(prefix=prefix)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(  # shapes at 227 px
                _conv(64, 7, "conv1_7x7_s2", stride=2),  # (N, 64, 114, 114)
                _max_pool("pool1_3x3_s2"),  # (N, 64, 57, 57)
                LRN(prefix="pool1_norm1_"),
                _conv(64, 1, "conv2_3x3_reduce"),
                _conv(192, 3, "conv2_3x3"),  # (N, 192, 57, 57)
                LRN(prefix="conv2_norm2_"),
                _max_pool("pool2_3x3_s2"),  # (N, 192, 28, 28)
            )
            for name, widths in INCEPTION.items():
                self.features.add(Inception(widths, prefix=f"{name}_"))
                if name in POOL_AFTER:
                    self.features.add(_max_pool(POOL_AFTER[name]))
            self.features.add(nn.GlobalAvgPool2D(prefix="pool5_7x7_s1_"))  # (N, 1024, 1, 1)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Compute ``pool5`` (N, 1024, 1, 1) of images ``x`` (N, 3, H, W)."""
        return self.features(x)


def caffe_name(parameter: str) -> tuple[str, int]:
    """Map a parameter of `GoogLeNet` to its layer and blob in ``bvlc_googlenet``.

    Parameters
    ----------
    parameter : str
        Name without the network's prefix: ``"inception_3a_5x5_reduce_weight"``.

    Returns
    -------
    layer : str
        ``"inception_3a/5x5_reduce"``.
    blob : int
        0 for weights (C_out, C_in, k, k), 1 for biases (C_out,): the order in the Caffe file.

    Examples
    --------
    >>> caffe_name("conv1_7x7_s2_bias")
    ('conv1/7x7_s2', 1)
    """
    layer, _, kind = parameter.rpartition("_")
    block = next((name for name in CAFFE_BLOCKS if layer.startswith(f"{name}_")), None)
    if block is None or kind not in ("weight", "bias"):
        raise KeyError(f"{parameter!r} is not a parameter of GoogLeNet")
    return f"{block}/{layer[len(block) + 1 :]}", int(kind == "bias")
