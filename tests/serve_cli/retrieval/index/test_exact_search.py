import numpy as np
import pytest

from serve_cli.embeddings.vectors import to_unit_norm
from serve_cli.retrieval.index.exact_search import Block, exact_nearest
from tests.serve_cli.retrieval.index.catalogs import plain_nearest


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("offset", [0.0, 3e3])
@pytest.mark.parametrize("size", [3, 11, 200])
def test_blocks_of_any_size(distance, offset, size):
    """Far from the origin, float32 products of these rows are off by more than their distances differ."""
    vectors = (offset + np.random.default_rng(0).normal(size=(120, 6))).astype(np.float32)
    vectors[60:70] = vectors[:10]  # ties
    if distance == "cosine":
        vectors = to_unit_norm(vectors)
    blocks = [
        Block(np.arange(first, min(first + size, 120)), vectors[first : first + size]) for first in range(0, 120, size)
    ]
    rows = exact_nearest(vectors[:30], 5, blocks, distance).rows
    if distance == "cosine":
        keys = 1 - vectors[:30].astype(float) @ vectors.astype(float).T
        keys = np.maximum(keys, 0)
        chosen = np.take_along_axis(keys, rows, axis=1)
        np.testing.assert_allclose(chosen, np.sort(keys, axis=1)[:, :5], atol=1e-15)
    else:
        expected = plain_nearest(vectors, vectors[:30], 5)
        assert rows.tolist() == [[row for _, row in pairs] for pairs in expected]
