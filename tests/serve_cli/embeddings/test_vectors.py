import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from serve_cli.embeddings.vectors import fitting, from_stored, to_stored
from serve_cli.sources.image_row import EmbeddedRows
from tests.examples import examples
from tests.serve_cli.embedded import batches

EMBEDDINGS = arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(-(2.0**99), 2.0**99, width=32))


@examples(100)
@given(EMBEDDINGS)
def test_int8_is_as_near_as_127_steps_allow(embedding):
    stored, scale = to_stored(embedding, "int8")
    assert stored.dtype == np.int8
    assert stored.min() >= -127
    most = np.abs(embedding.astype(np.float64)).max(axis=1, keepdims=True)
    difference = np.abs(from_stored(stored, scale).astype(np.float64) - embedding)
    assert (difference <= most * (0.5 / 127 + 1e-6) + 1e-43).all()
    for row, negated in zip(stored, to_stored(-embedding, "int8")[0], strict=True):
        np.testing.assert_array_equal(row, -negated)


def test_int8_by_hand():
    stored, scale = to_stored(np.array([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]], np.float32), "int8")
    np.testing.assert_array_equal(stored, [[64, -127, 32], [0, 0, 0]])
    np.testing.assert_allclose(scale, [2 / 127, 0])


def test_float32_is_not_copied_and_float16_is_rounded():
    embedding = np.array([[1.0, 1 + 2**-12]], np.float32)
    assert to_stored(embedding, "float32")[0] is embedding
    stored, scale = to_stored(embedding, "float16")
    assert scale is None
    np.testing.assert_array_equal(from_stored(stored, None), np.array([[1, 1]], np.float32))


def test_numbers_beyond_float16_are_errors_and_not_infinite():
    (batch,) = batches(4, bad={1})
    embedding = batch.embedding.copy()
    embedding[2, 3] = -70_000
    large = EmbeddedRows(batch.rows, embedding, batch.errors)
    assert list(fitting([large], "float32")) == [large]
    (found,) = fitting([large], "float16")
    assert found.errors == [
        None,
        "1.jpg: broken",
        "2.jpg: its embedding exceeds 65504, the largest float16; use --dtype float32.",
        None,
    ]
    assert np.isnan(found.embedding[[1, 2]]).all()
    np.testing.assert_array_equal(found.embedding[[0, 3]], embedding[[0, 3]])
    assert embedding[2, 3] == -70_000  # the caller's is left alone


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_no_rows(dtype):
    stored, scale = to_stored(np.empty((0, 8), np.float32), dtype)
    assert stored.shape == (0, 8)
    assert (scale is None) == (dtype != "int8")
