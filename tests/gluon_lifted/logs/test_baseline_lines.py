from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.logs.baseline_lines import spread
from tests.examples import examples


@examples(100, derandomize=True)
@given(st.lists(st.floats(-1e3, 1e3), max_size=6).map(sorted))
def test_labels_keep_their_order_and_distance(heights):
    placed = spread(heights, 14)
    assert len(placed) == len(heights)
    assert all(above - below >= 14 - 1e-9 for below, above in pairwise(placed))
    assert sum(placed) == pytest.approx(sum(heights), abs=1e-6)


def test_labels_that_are_far_apart_stay():
    assert spread([0.0, 14.0, 100.0], 14) == [0.0, 14.0, 100.0]
