"""Caffe's mean image: read, subtracted where each crop lies, carried by the frozen network."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gluon_lifted.batches.loader import ImageLoader
from gluon_lifted.batches.samplers import BalancedSampler
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.datasets import load_dataset
from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.images import (
    Preprocessing,
    center_crop,
    random_crop_mirror,
    read_image,
)
from gluon_lifted.networks.mean_image import mean_residual, read_mean_image

SIDE, CROP = 24, 20
CAFFE = Preprocessing(SIDE, CROP, "BGR", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0))


def varint(value):
    bytes_ = bytearray()
    while value > 127:
        bytes_.append(value & 127 | 128)
        value >>= 7
    return bytes([*bytes_, value])


def binaryproto(image):
    """A BlobProto as Caffe's compute_image_mean writes it: num, channels, height, width, packed data."""
    head = b"".join(bytes([number << 3]) + varint(size) for number, size in enumerate((1, *image.shape), 1))
    data = struct.pack(f"<{image.size}f", *image.ravel())
    return head + bytes([5 << 3 | 2]) + varint(len(data)) + data


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(80, 150, (3, SIDE, SIDE)).astype(np.float32)


@pytest.fixture
def config(photos, tmp_path, image):
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(binaryproto(image))
    return TrainConfig(
        "folder", str(photos), dim=4, iterations=2, batch_size=4, images_per_class=2, resize=SIDE, crop=CROP,
        colors="caffe", mean_image=str(path), validation_classes=0.0, backbone="googlenet",
    )  # fmt: skip


def test_the_file_is_read_as_caffe_writes_it(config, image):
    np.testing.assert_array_equal(read_mean_image(Path(config.mean_image)), image)
    np.testing.assert_allclose(
        mean_residual(config)[3, 5], [image[c, 3, 5] - mean for c, mean in enumerate((104, 117, 123))], rtol=1e-6
    )
    assert mean_residual(replace(config, mean_image="")) is None


def test_every_pixel_loses_the_mean_of_its_own_place(config, image, photos):
    """What the network sees after its own subtraction, against Caffe's loop: (pixel - mean at the same place)."""
    table, residual = load_dataset("folder", photos).train, mean_residual(config)
    sampler = BalancedSampler(table.labels, 2, 2, seed=3)
    with ImageLoader(table, CAFFE, 2, residual) as loader:
        trained = list(loader.training_batches(sampler, 0, 2))[1]
        tested = next(iter(loader.test_batches(4)))
    ours = center_crop(residual, CROP).transpose(2, 0, 1)  # what the network subtracts
    for slot, row in enumerate(sampler.batch(1)):
        pixels = read_image(table.paths[row], CAFFE)[:, :, ::-1].astype(np.float64)  # BGR
        expected = random_crop_mirror(pixels - image.transpose(1, 2, 0), CROP, np.random.default_rng([3, 1, slot]))
        np.testing.assert_allclose(trained.images[slot] - ours, expected.transpose(2, 0, 1), atol=1e-3)
    pixels = read_image(table.paths[0], CAFFE)[:, :, ::-1].astype(np.float64)
    expected = center_crop(pixels - image.transpose(1, 2, 0), CROP).transpose(2, 0, 1)
    np.testing.assert_allclose(tested.images[0] - ours, expected, atol=1e-3)


@pytest.mark.slow
def test_the_frozen_network_subtracts_it(config, tmp_path):
    """Embeddings of the same images, with the center of the mean image subtracted by hand, and by the network."""
    pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")
    from gluon_lifted.mx import nd
    from gluon_lifted.networks.backbones import build_backbone
    from gluon_lifted.networks.embedding_net import EmbeddingNet
    from gluon_lifted.training.run import train

    side = 48  # the smallest that GoogLeNet takes, nearly
    large = np.random.default_rng(1).uniform(80, 150, (3, side, side)).astype(np.float32)
    path = tmp_path / "large.binaryproto"
    path.write_bytes(binaryproto(large))
    config = replace(config, resize=side, crop=side, mean_image=str(path), learning_rate=1e-4)
    train(config, tmp_path / "run")
    plain = EmbeddingNet(build_backbone("googlenet", side), 4)
    stored = {name[4:]: array for name, array in nd.load(str(tmp_path / "run" / "model-0000.params")).items()}
    np.testing.assert_allclose(
        stored["mean_residual"].asnumpy()[0], large - np.reshape([104, 117, 123], (3, 1, 1)), atol=1e-4
    )
    plain.initialize()
    plain(nd.zeros((1, 3, side, side)))
    for name, parameter in plain.collect_params().items():
        parameter.set_data(stored[name])
    with np.load(tmp_path / "run" / "reference.npz") as reference:
        data, embedding = reference["data"], reference["embedding"]
    by_hand = plain(nd.array(data - stored["mean_residual"].asnumpy())).asnumpy()
    np.testing.assert_allclose(by_hand, embedding, rtol=1e-4, atol=1e-4)


def test_files_that_are_none_are_named(config, tmp_path, image):
    path = tmp_path / "bad.binaryproto"
    config = replace(config, mean_image=str(path))
    with pytest.raises(DataError, match=r"bad\.binaryproto: cannot be read"):
        mean_residual(config)
    for content in (b"", b"GIF89a", binaryproto(image)[:-7], binaryproto(image[:1]), binaryproto(-image)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.binaryproto"):
            mean_residual(config)
    path.write_bytes(binaryproto(image[:, :20, :20]))
    with pytest.raises(DataError, match="the mean image has 20 x 20 px; expected 24 x 24"):
        mean_residual(config)


def test_it_goes_with_caffes_colors(config):
    with pytest.raises(ConfigError, match="mean-image needs --colors caffe, not auto"):
        replace(config, colors="auto")
