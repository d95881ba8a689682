"""Networks of MXNet's NumPy interface, small ones of each kind that textbooks build, compared with MXNet."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export import N, NetworkInputs, export_network
from gluon_lifted.contract import SavedNetwork
from gluon_lifted.mx import gluon, mx
from gluon_lifted.networks.reference import write_reference
from tests.export.ops_runner import run_onnx, translate_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

nn = gluon.nn
IMAGE = (3, 16, 16)


@contextmanager
def numpy_interface() -> Iterator[None]:
    """Switch MXNet to the NumPy interface for a while, as ``npx.set_np()`` does for a whole process."""
    with mx.util.np_shape(True), mx.util.np_array(True):
        yield


def sequential(*layers: Any) -> Any:
    network = nn.HybridSequential()
    network.add(*layers)
    return network


class Composed(nn.HybridBlock):
    """Layers, combined by a function of (F, x, layers, parameters)."""

    def __init__(self, function: Callable[..., Any], *layers: Any, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        self.layers = layers
        for index, layer in enumerate(layers):
            self.register_child(layer, str(index))
        with self.name_scope():
            for name, shape in shapes.items():
                setattr(self, name, self.params.get(name, shape=shape, init=mx.init.Normal(1)))

    def hybrid_forward(self, F: Any, x: Any, **parameters: Any) -> Any:  # Gluon's name
        return self.function(F, x, *self.layers, **parameters)


def convolution(channels: int, size: int, **attrs: Any) -> Any:
    return nn.Conv2D(channels, size, **attrs)


def perceptron() -> Any:
    return sequential(
        nn.Dense(8, activation="relu"), nn.Dropout(0.5), nn.Dense(4), Composed(lambda F, x: F.npx.softmax(x))
    )


def lenet() -> Any:
    return sequential(
        convolution(4, 5, padding=2, activation="sigmoid"),
        nn.AvgPool2D(2, 2),
        convolution(6, 3, activation="sigmoid"),
        nn.AvgPool2D(2, 2),
        nn.Dense(9, activation="sigmoid"),
        nn.Dense(5),
    )


def residual_block(channels: int, stride: int) -> Any:
    body = sequential(
        convolution(channels, 3, padding=1, strides=stride),
        nn.BatchNorm(),
        nn.Activation("relu"),
        convolution(channels, 3, padding=1),
        nn.BatchNorm(),
    )
    shortcut = convolution(channels, 1, strides=stride) if stride > 1 else nn.HybridSequential()
    return Composed(lambda F, x, body, shortcut: F.npx.relu(body(x) + shortcut(x)), body, shortcut)


def residual_network() -> Any:
    stem = (convolution(4, 3, padding=1), nn.BatchNorm(), nn.Activation("relu"), nn.MaxPool2D(3, 2, 1))
    return sequential(*stem, residual_block(4, 1), residual_block(6, 2), nn.GlobalAvgPool2D(), nn.Dense(5))


def network_in_network() -> Any:
    def block(channels: int, size: int, stride: int) -> list[Any]:
        return [
            convolution(channels, size, strides=stride, padding=1, activation="relu"),
            convolution(channels, 1, activation="relu"),
            convolution(channels, 1, activation="relu"),
        ]

    return sequential(
        *block(6, 5, 2), nn.MaxPool2D(3, 2), nn.Dropout(0.5), *block(5, 3, 1), nn.GlobalAvgPool2D(), nn.Flatten()
    )


def inception() -> Any:
    paths = [
        convolution(3, 1, activation="relu"),
        sequential(convolution(2, 1, activation="relu"), convolution(4, 3, padding=1, activation="relu")),
        sequential(convolution(2, 1, activation="relu"), convolution(3, 5, padding=2, activation="relu")),
        sequential(nn.MaxPool2D(3, 1, 1), convolution(2, 1, activation="relu")),
    ]
    return Composed(lambda F, x, *paths: F.np.concatenate([path(x) for path in paths], axis=1), *paths)


def dense_block() -> Any:
    def grown(F: Any, x: Any, *blocks: Any) -> Any:
        for block in blocks:
            x = F.np.concatenate([x, block(x)], axis=1)
        return x

    blocks = [sequential(nn.BatchNorm(), nn.Activation("relu"), convolution(3, 3, padding=1)) for _ in range(3)]
    transition = (nn.BatchNorm(), nn.Activation("relu"), convolution(4, 1), nn.AvgPool2D(2, 2))
    return sequential(Composed(grown, *blocks), *transition)


def squeeze_and_excite() -> Any:
    def scaled(F: Any, x: Any, reduce: Any, expand: Any) -> Any:
        weights = F.npx.sigmoid(expand(reduce(F.np.mean(x, axis=(2, 3)))))
        return x * F.np.expand_dims(F.np.expand_dims(weights, -1), -1)

    return Composed(scaled, nn.Dense(2, activation="relu"), nn.Dense(3))


def normalized_by_hand() -> Any:
    """Standardized channels, clipped; rows of length 1."""

    def rows(F: Any, x: Any) -> Any:
        standard = (x - F.np.mean(x, axis=(2, 3), keepdims=True)) / F.np.sqrt(
            F.np.var(x, axis=(2, 3), keepdims=True) + 1e-5
        )
        flat = F.np.clip(standard, -2, 2).reshape(-1, 3 * 16 * 16)
        return flat / F.np.sqrt(F.np.sum(F.np.square(flat), axis=1, keepdims=True))

    return Composed(rows)


def dot_product_attention(F: Any, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
    """Attention of (N * heads, length, depth)."""
    scores = F.npx.batch_dot(query, key, transpose_b=True) / 2.0
    if mask is not None:
        scores = F.np.where(mask, scores, F.np.full_like(scores, -1e6))
    return F.npx.batch_dot(F.npx.softmax(scores), value)


def multi_head(F: Any, x: Any, query: Any, key: Any, value: Any, output: Any, **masks: Any) -> Any:
    """Attention of (N, length, 8) with two heads, which become part of the batch and come back."""

    def split(y: Any) -> Any:
        y = F.npx.reshape(y, (-2, -2, 2, -1)).transpose(0, 2, 1, 3)
        return F.npx.reshape(y, (-5, -4))

    mixed = dot_product_attention(F, split(query(x)), split(key(x)), split(value(x)), **masks)
    mixed = F.npx.reshape(mixed, (-6, -1, 2, -4)).transpose(0, 2, 1, 3)
    return output(F.npx.reshape(mixed, (-2, -2, -5)))


def attention(**masks: tuple[int, ...]) -> Any:
    return Composed(multi_head, *(nn.Dense(8, flatten=False, use_bias=False) for _ in range(4)), **masks)


def encoder_block() -> Any:
    feed_forward = sequential(nn.Dense(12, flatten=False), nn.GELU(), nn.Dense(8, flatten=False))

    def encoded(F: Any, x: Any, norm: Any, attend: Any, second_norm: Any, feed: Any) -> Any:
        x = x + attend(norm(x))
        return x + feed(second_norm(x))

    return Composed(encoded, nn.LayerNorm(), attention(), nn.LayerNorm(), feed_forward)


def vision_transformer() -> Any:
    """Patches, a class token, positions, two blocks, and a head on the class token."""

    def classified(F: Any, x: Any, patches: Any, *layers: Any, token: Any, positions: Any) -> Any:
        x = F.npx.reshape(patches(x), (-2, -2, -1)).transpose(0, 2, 1)
        tokens = F.np.zeros_like(x[:, :1]) + token
        x = F.np.concatenate([tokens, x], axis=1) + positions
        for layer in layers[:-1]:
            x = layer(x)
        return layers[-1](x[:, 0])

    layers = (convolution(8, 4, strides=4), encoder_block(), encoder_block(), nn.LayerNorm(), nn.Dense(5))
    return Composed(classified, *layers, token=(1, 1, 8), positions=(1, 17, 8))


def mixer() -> Any:
    """Products over rows and columns, as matmul, dot, tensordot and einsum write them."""

    def mixed(F: Any, x: Any, rows: Any, columns: Any) -> Any:
        x = F.np.matmul(rows, x) + F.np.dot(x, columns)
        x = x + F.np.tensordot(x, columns, axes=([2], [0])).swapaxes(2, 3)
        return F.np.einsum("nchw,ncvw->nhv", F.np.tanh(x), x) / 16

    return Composed(mixed, rows=(16, 16), columns=(16, 16))


NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "perceptron": (perceptron, (12,)),
    "LeNet": (lenet, IMAGE),
    "residual network": (residual_network, IMAGE),
    "network in network": (network_in_network, IMAGE),
    "inception": (inception, IMAGE),
    "dense block": (dense_block, IMAGE),
    "squeeze and excite": (squeeze_and_excite, IMAGE),
    "normalized by hand": (normalized_by_hand, IMAGE),
    "attention": (attention, (5, 8)),
    "masked attention": (lambda: attention(mask=(5, 5)), (5, 8)),
    "vision transformer": (vision_transformer, IMAGE),
    "mixer": (mixer, IMAGE),
}


def randomize(network: Any, rng: np.random.Generator) -> None:
    """Give each parameter values that are no defaults; a mask lets each position attend to those before it."""
    for name, parameter in network.collect_params().items():
        middle = float(name.endswith(("gamma", "running_var")))
        values = middle + 0.3 * rng.uniform(-1, 1, parameter.shape)
        parameter.set_data(mx.np.array(np.tril(np.ones(parameter.shape)) if name.endswith("mask") else values))


def exported(name: str, folder: Path) -> tuple[SavedNetwork, np.ndarray, np.ndarray]:
    """Make and export a network; return it with images, and what MXNet computes."""
    make, row = NETWORKS[name]
    rng = np.random.default_rng(0)
    images = rng.normal(size=(3, *row)).astype(np.float32)
    with numpy_interface():
        network = make()
        network.initialize()
        network(mx.np.array(images[:1]))  # shapes
        randomize(network, rng)
        network.hybridize()
        expected = network(mx.np.array(images)).asnumpy()
        network.export(str(folder / "model"))
    return SavedNetwork(folder / "model-symbol.json", folder / "model-0000.params"), images, expected


@pytest.mark.parametrize("name", NETWORKS)
def test_network_equals_mxnet(name: str, tmp_path: Path) -> None:
    network, images, expected = exported(name, tmp_path)
    graph = translate_files(network.symbol, network.params, images.shape[1:])
    for batch in (images, images[:1]):
        actual = run_onnx(graph, batch)
        assert actual.shape[1:] == expected.shape[1:]
        np.testing.assert_allclose(actual, expected[: len(batch)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["normalized by hand", "vision transformer"])  # without parameters; with many
def test_reference_proves_the_export(name: str, tmp_path: Path) -> None:
    network, images, expected = exported(name, tmp_path)
    reference = tmp_path / "reference.npz"
    (output,) = write_reference(network, {"data": images}, reference)
    np.testing.assert_allclose(np.load(reference)[output], expected, rtol=1e-5, atol=1e-6)
    inputs = NetworkInputs({"data": (N, *images.shape[1:])})
    report = export_network(network, inputs, tmp_path / "model.onnx", reference=reference)
    assert report.parity is not None
    assert report.parity.max_abs_error < 1e-5
    assert not mx.util.is_np_shape()
