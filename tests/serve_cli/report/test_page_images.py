"""Neighbors among the images on a page."""

import numpy as np
import pytest

from serve_cli.report import page_images
from serve_cli.report.page_images import NEIGHBORS, PageImages
from tests.serve_cli.report.made import blobs


def test_images_are_those_of_the_map_then_the_others_each_once():
    images = PageImages.of(np.array([7, 2, 9]), {9, 4, 1, 2})
    assert images.rows.tolist() == [7, 2, 9, 1, 4]
    assert (len(images), images.on_map) == (5, 3)


@pytest.mark.parametrize("count", [2, 5, 30])
def test_nearest_against_loops(monkeypatch, count):
    monkeypatch.setattr(page_images, "BLOCK", 7)
    embedding = blobs([20, 20], spread=2.0).embedding
    rows = np.random.default_rng(0).permutation(40)[:count]
    places, distances = PageImages.of(rows, ()).nearest(embedding)
    assert places.shape == distances.shape == (count, min(NEIGHBORS, count - 1))
    points = embedding.astype(np.float64)
    for place, row in enumerate(rows):
        away = sorted(
            (float(np.linalg.norm(points[row] - points[other])), number)
            for number, other in enumerate(rows)
            if number != place
        )[:NEIGHBORS]
        assert places[place].tolist() == [number for _, number in away]
        np.testing.assert_allclose(distances[place], [distance for distance, _ in away])


def test_equal_images_are_neighbors_of_each_other_and_never_of_themselves():
    places, distances = PageImages.of(np.arange(4), ()).nearest(np.ones((4, 3), np.float32))
    assert places.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert not distances.any()
