"""Whitened principal components: covariance in batches, scale, directions."""

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.networks.whitening import Moments, whitened_layer


def features(rows=400, width=9, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(rows, width)) @ rng.normal(size=(width, width)) + 50).astype(np.float32)


def moments_of(rows, sizes=(1, 6, 393)):
    moments = Moments(rows.shape[1])
    for part in np.split(rows, np.cumsum(sizes)[:-1]):
        moments.add(part)
    return moments


def test_moments_of_batches_are_those_of_all_rows_at_once():
    rows = features()
    moments = moments_of(rows)
    exact = rows.astype(np.float64)
    mean = sum(exact) / len(exact)
    covariance = sum(np.outer(row - mean, row - mean) for row in exact) / len(exact)
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, covariance, rtol=1e-10, atol=1e-10)


def test_embeddings_have_mean_0_and_the_wanted_distance():
    rows = features()
    weight, bias = whitened_layer(moments_of(rows), 5, 8.0)
    embedding = rows.astype(np.float64) @ weight.T.astype(np.float64) + bias
    np.testing.assert_allclose(embedding.mean(axis=0), 0, atol=1e-3)
    squared = [((a - b) ** 2).sum() for a in embedding for b in embedding]  # self pairs are part of the mean
    assert np.sqrt(np.mean(squared)) == pytest.approx(8.0, rel=1e-4)


@pytest.mark.parametrize("num", [400, 45])  # few images: closer to no whitening
def test_components_are_uncorrelated_and_their_variances_shrunk(num):
    rows = features(num)
    weight, bias = whitened_layer(moments_of(rows, sizes=(num,)), 9, 1.0)
    covariance = np.cov((rows.astype(np.float64) @ weight.T + bias).T, bias=True)
    variances = np.sort(np.linalg.eigvalsh(np.cov(rows.T.astype(np.float64), bias=True)))[::-1]
    share = variances / (variances + (1 + 9 / num) * variances.mean())
    np.testing.assert_allclose(covariance, np.diag(share) / (2 * share.sum()), atol=1e-5)


def test_the_largest_directions_come_first():
    rows = features()
    narrow, _ = whitened_layer(moments_of(rows), 2, 1.0)
    wide, _ = whitened_layer(moments_of(rows), 9, 1.0)
    for a, b in zip(narrow, wide, strict=False):
        assert abs(a @ b) == pytest.approx(np.linalg.norm(a) * np.linalg.norm(b), rel=1e-4)


def test_components_of_few_images_are_left_to_chance():
    rows = features(rows=20, width=40)
    few, _ = whitened_layer(moments_of(rows, sizes=(20,)), 30, 1.0)
    other, _ = whitened_layer(moments_of(rows, sizes=(20,)), 30, 1.0, seed=1)
    directions = few / np.linalg.norm(few, axis=1, keepdims=True)
    np.testing.assert_allclose(directions @ directions.T, np.eye(30), atol=1e-5)
    same = np.isclose(np.abs((few * other).sum(axis=1)), np.linalg.norm(few, axis=1) * np.linalg.norm(other, axis=1))
    assert same.tolist() == [True] * 4 + [False] * 26


def test_images_that_made_the_layer_can_be_found():
    """Whitened by all 39 components of 40 images, none of them would be found."""
    rng = np.random.default_rng(0)
    classes = np.repeat(rng.normal(size=(8, 200)), 10, axis=0)
    rows = (classes + rng.normal(scale=0.8, size=classes.shape)).astype(np.float32)  # (80, 200)
    weight, bias = whitened_layer(moments_of(rows[:40], sizes=(40,)), 39, 1.0)
    embedding = rows @ weight.T + bias
    distance = ((embedding[:, None] - embedding) ** 2).sum(axis=-1)
    np.fill_diagonal(distance, np.inf)
    found = distance.argmin(axis=1) // 10 == np.arange(80) // 10
    assert found[:40].mean() > 0.3
    assert found[40:].mean() > 0.9


def test_few_images_leave_directions_without_variance_finite():
    weight, bias = whitened_layer(moments_of(features(rows=4), sizes=(4,)), 8, 1.0)
    assert np.isfinite(weight).all()
    assert np.isfinite(bias).all()


@pytest.mark.parametrize(
    ("rows", "dim", "error", "message"),
    [
        (features(), 10, ConfigError, "more than the 9 features"),
        (np.ones((5, 3), np.float32), 2, ConfigError, "the same features"),
        (np.full((5, 3), np.nan, np.float32), 2, DataError, "NaN or infinity"),
    ],
)
def test_features_that_cannot_be_whitened_are_refused(rows, dim, error, message):
    moments = Moments(rows.shape[1])
    moments.add(rows)
    with pytest.raises(error, match=message):
        whitened_layer(moments, dim, 1.0)
