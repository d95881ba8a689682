"""The whitened start of a run."""

import json

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.batches.loader import ImageLoader
from gluon_lifted.config.resolve import config_of, resolve
from gluon_lifted.datasets import load_dataset
from gluon_lifted.errors import ConfigError
from gluon_lifted.images.colors import preprocessing_of
from gluon_lifted.mx import mx
from gluon_lifted.training import embedding_start
from gluon_lifted.training.embedding_start import start_from_pca
from gluon_lifted.training.run import Hooks, train
from gluon_lifted.training.trainer import Trainer

SETTINGS = {
    "dataset": "folder", "backbone": "cifar_resnet20_v1", "crop": 32, "resize": 36, "dim": 6, "batch_size": 6,
    "images_per_class": 2, "embedding_init": "pca", "validation_classes": 0.0, "iterations": 0,
}  # fmt: skip


def started(photos, **settings):
    config = config_of(resolve(SETTINGS | {"data": str(photos)} | settings))
    table, trainer = load_dataset("folder", photos).train, Trainer(config, [mx.cpu()])
    notes = []
    with ImageLoader(table, preprocessing_of(config), 1) as loader:
        start_from_pca(trainer, loader, Hooks(on_note=notes.append))
        return trainer.embed(loader.test_batches(8)), notes


@pytest.mark.parametrize(
    ("settings", "distance"),
    [({}, 8), ({"margin": 3.0}, 24), ({"loss": "triplet-semihard", "margin": 4.0}, 16), ({"init_distance": 0.5}, 0.5)],
    ids=["defaults", "margin", "squared margin", "distance"],
)
def test_embeddings_start_at_the_distance_that_suits_the_margin(photos, settings, distance):
    embedding, notes = started(photos, **settings)
    squared = [((a - b) ** 2).sum() for a in embedding.astype(float) for b in embedding]
    assert np.sqrt(np.mean(squared)) == pytest.approx(distance, rel=1e-3)
    np.testing.assert_allclose(embedding.mean(axis=0), 0, atol=1e-3 * distance)
    assert "24 training images" in notes[0]


def test_many_images_are_sampled_by_the_seed(photos, monkeypatch):
    monkeypatch.setattr(embedding_start, "MAX_IMAGES", 10)
    (first, notes), (again, _), (other, _) = started(photos), started(photos), started(photos, seed=1)
    assert "10 training images" in notes[0]
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_more_numbers_than_features_are_refused_before_any_image_is_read(photos, monkeypatch):
    monkeypatch.setattr(ImageLoader, "test_batches", None)
    with pytest.raises(ConfigError, match="dim is 2000, more than the 64 features"):
        started(photos, dim=2000)


@pytest.mark.slow
def test_a_layer_that_comes_with_the_weights_is_kept(photos, tmp_path):
    config = config_of(resolve(SETTINGS | {"data": str(photos), "embedding_init": "random"}))
    train(config, tmp_path / "first")
    notes = []
    second = SETTINGS | {"data": str(photos), "weights": str(tmp_path / "first" / "model-0000.params")}
    train(config_of(resolve(second)), tmp_path / "second", hooks=Hooks(on_note=notes.append))
    assert any("has no effect" in note for note in notes)
    one, two = (np.load(tmp_path / run / "reference.npz")["embedding"] for run in ("first", "second"))
    np.testing.assert_array_equal(one, two)
    assert json.loads((tmp_path / "second" / "config.json").read_text())["embedding_init"] == "pca"
