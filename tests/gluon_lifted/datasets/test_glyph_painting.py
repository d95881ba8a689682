import math

import numpy as np

from gluon_lifted.datasets import glyph_painting


def test_perspective_view():
    """The eight numbers give the view that the formula describes, point by point."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        matrix, tilt = rng.normal(size=(2, 2)), rng.uniform(-0.004, 0.004, 2)
        center, middle = rng.uniform(20, 60, 2), rng.uniform(10, 30, 2)
        a, b, c, d, e, f, g, h = glyph_painting._coefficients(matrix, tilt, center, middle)
        for x, y in rng.uniform(0, 96, (5, 2)):
            px, py = x - center[0], y - center[1]
            depth = 1 + tilt[0] * px + tilt[1] * py
            u = middle[0] + (matrix[0, 0] * px + matrix[0, 1] * py) / depth
            v = middle[1] + (matrix[1, 0] * px + matrix[1, 1] * py) / depth
            assert math.isclose((a * x + b * y + c) / (g * x + h * y + 1), u, rel_tol=1e-9, abs_tol=1e-9)
            assert math.isclose((d * x + e * y + f) / (g * x + h * y + 1), v, rel_tol=1e-9, abs_tol=1e-9)


def test_no_point_of_an_image_lies_behind_the_viewer():
    farthest = 1 + 0.05  # sides from a center (fragments stand 0.05 outside) to the far edge, each way
    assert 2 * farthest * glyph_painting.TILT < 1
