from __future__ import annotations

import numpy as np
import pytest

from export.parity import min_cosine


def test_cosine_of_zero_rows() -> None:
    zeros, ones = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert min_cosine(zeros, zeros) == 1
    assert min_cosine(zeros, ones) == min_cosine(ones, zeros) == 0
    assert min_cosine(ones, -ones) == pytest.approx(-1)
