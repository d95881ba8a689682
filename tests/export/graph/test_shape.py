"""Arithmetic of sizes that grow with the batch, against numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import UnsupportedOpError
from export.graph.shape import Batch, BatchShape, N, Size, broadcast_shape, product, quotient, total

SIZES = st.one_of(st.integers(0, 12), st.integers(1, 6).map(Batch))
BATCHES = (3, 7)  # two values of N


def at(size: Size, n: int) -> int:
    return size.times * n if isinstance(size, Batch) else size


def numbers(shape: BatchShape, n: int) -> tuple[int, ...]:
    return tuple(at(size, n) for size in shape)


@given(st.lists(SIZES, max_size=4))
def test_products_and_sums_hold_for_every_batch(sizes: list[Size]) -> None:
    if sum(isinstance(size, Batch) for size in sizes) > 1:
        with pytest.raises(UnsupportedOpError, match="square of the batch"):
            product(sizes)
    else:
        assert all(at(product(sizes), n) == math.prod(numbers(tuple(sizes), n)) for n in BATCHES)
    added = total(sizes)
    if added is None:
        assert 0 < sum(isinstance(size, Batch) for size in sizes) < len(sizes)
    else:
        assert all(at(added, n) == sum(numbers(tuple(sizes), n)) for n in BATCHES)


@given(SIZES, SIZES)
def test_quotients_are_exact_for_every_batch(size: Size, divisor: Size) -> None:
    result = quotient(size, divisor)
    if result is not None:
        assert all(at(result, n) * at(divisor, n) == at(size, n) for n in BATCHES)
    elif at(divisor, 1) > 0:
        assert any(at(size, n) % at(divisor, n) for n in (1, *BATCHES, 11 * 13)) or isinstance(divisor, Batch)


SHAPES = st.lists(st.sampled_from([1, 2, 3, N]), max_size=3).map(tuple)


@given(SHAPES, SHAPES)
def test_broadcast_is_numpys_for_every_batch(left: BatchShape, right: BatchShape) -> None:
    shape = broadcast_shape(left, right)
    if shape is None:
        with pytest.raises(ValueError, match="shape mismatch"):
            np.broadcast_shapes(numbers(left, 7), numbers(right, 7))
    else:
        assert all(np.broadcast_shapes(numbers(left, n), numbers(right, n)) == numbers(shape, n) for n in BATCHES)


def test_messages_show_the_batch_as_n() -> None:
    assert str((N, 3, Batch(8))) == "(N, 3, 8*N)"
