import sys

import numpy as np
import pytest

from gluon_lifted.errors import MissingPackageError
from serve_cli.report.layout2d import layout_2d, require_method, sample_rows
from tests.serve_cli.report.made import blobs

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

pytestmark = pytest.mark.slow


def test_sample_is_even_over_classes():
    embeddings = blobs([2, 50, 9, 1])
    taken = np.bincount(embeddings.labels[sample_rows(embeddings, 20, seed=0)])
    assert taken.sum() == 20
    assert taken.tolist()[0] == 2
    assert taken.tolist()[3] == 1
    assert abs(taken[1] - taken[2]) <= 1
    every = sample_rows(embeddings, 100, seed=0)
    assert every.tolist() == list(range(62))


def test_sample_depends_on_its_seed():
    embeddings = blobs([30, 30])
    first, again, other = (sample_rows(embeddings, 10, seed).tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert first == sorted(set(first))


def test_pca_keeps_distances_of_a_plane():
    """Points of a plane in 7 dimensions: their map is the plane, but for size."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(30, 2))
    turned = plane @ np.linalg.qr(rng.normal(size=(7, 7)))[0][:2]
    placed = layout_2d(turned.astype(np.float32), "pca", seed=0)
    upper = np.triu_indices(30, 1)
    distances = [np.linalg.norm(layout[:, None] - layout, axis=-1)[upper] for layout in (plane, placed)]
    ratio = distances[1] / distances[0]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_tsne_keeps_far_groups_apart():
    embeddings = blobs([20, 20, 20], dim=12, spread=0.05)
    placed = layout_2d(embeddings.embedding, "tsne", seed=0)
    assert placed.min() >= 0
    assert placed.max() <= 1
    distance = np.linalg.norm(placed[:, None] - placed, axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (embeddings.labels[distance.argmin(axis=1)] == embeddings.labels).all()
    np.testing.assert_array_equal(placed, layout_2d(embeddings.embedding, "tsne", seed=0))


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize(
    "embedding", [[[1.0, 2.0]], [[1.0]] * 9, [[0.0], [1.0]], [[float(number)] for number in range(8)]]
)
def test_few_rows_equal_rows_one_dimension(method, embedding):
    placed = layout_2d(np.array(embedding, np.float32), method, seed=0)
    assert placed.shape == (len(embedding), 2)
    assert np.isfinite(placed).all()
    assert placed.min() >= 0
    assert placed.max() <= 1
    if len(np.unique(embedding)) < 2 or len(embedding) == 1:
        assert (placed == 0.5).all()


def test_umap_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingPackageError, match="pip install umap-learn"):
        require_method("umap")


def test_scikit_learn_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingPackageError, match=r"pip install .*\[report\]"):
        require_method("pca")


@pytest.mark.filterwarnings("default")  # its own imports warn
def test_umap():
    pytest.importorskip("umap", reason="umap-learn is not installed")
    embeddings = blobs([20, 20], spread=0.05)
    assert layout_2d(embeddings.embedding, "umap", seed=0).shape == (40, 2)
    assert np.isfinite(layout_2d(embeddings.embedding[:, :1], "umap", seed=0)).all()
