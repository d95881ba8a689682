"""Bicubic resizing against plain loops of the algorithm that Matlab documents for imresize."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from gluon_lifted.images import Preprocessing, read_image
from gluon_lifted.images.framing import fit_square
from gluon_lifted.images.interpolations import INTERPOLATIONS


def cubic(x):
    """Keys 1981, eq. 15: a = -1/2."""
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def triangle(x):
    return max(0.0, 1 - abs(x))


KERNELS = {"bilinear": (triangle, 2), "bicubic": (cubic, 4)}  # and their widths


def resized_line(line, length, kernel, width):
    """Resize a list of pixels; imresize stretches the kernel when it shrinks, and mirrors pixels at the ends."""
    scale = length / len(line)
    stretch = min(scale, 1)
    mirrored = line + line[::-1]
    result = []
    for index in range(length):
        center = (index + 0.5) / scale - 0.5
        first = math.floor(center - width / stretch / 2)
        taps = range(first, first + math.ceil(width / stretch) + 3)
        weights = [kernel(stretch * (center - tap)) for tap in taps]
        value = sum(weight * mirrored[tap % len(mirrored)] for weight, tap in zip(weights, taps, strict=True))
        result.append(min(max(math.floor(value / sum(weights) + 0.5), 0), 255))  # uint8 between the axes, too
    return result


def imresize(pixels, side, kernel, width):
    """The axis that shrinks most is first."""
    for axis in sorted((0, 1), key=lambda axis: -pixels.shape[axis]):
        lines = np.moveaxis(pixels, axis, -1)
        flat = lines.reshape(-1, lines.shape[-1]).tolist()
        resized = [resized_line(line, side, kernel, width) for line in flat]
        pixels = np.moveaxis(np.reshape(resized, (*lines.shape[:-1], side)), -1, axis)
    return pixels


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(("height", "width", "side"), [(30, 44, 12), (44, 30, 12), (23, 26, 21), (9, 12, 16)])
def test_resizing_is_that_of_matlab_inside_and_close_at_the_edges(interpolation, height, width, side):
    pixels = np.random.default_rng(0).integers(64, 192, (height, width, 3), np.uint8)  # no sum leaves 0 to 255
    actual = np.asarray(fit_square(Image.fromarray(pixels), side, "stretch", interpolation), int)
    difference = np.abs(actual - imresize(pixels, side, *KERNELS[interpolation]))
    assert difference[2:-2, 2:-2].max() <= 1  # of rounding, after the first axis
    assert difference[1:-1, 1:-1].max() <= 3
    assert difference.max() <= 16  # there Matlab mirrors the pixels of noise


@pytest.mark.parametrize("fit", ["pad", "cover"])
def test_all_fits_use_the_interpolation(fit):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    squares = {name: np.asarray(fit_square(image, 16, fit, name), int) for name in INTERPOLATIONS}
    for name, square in squares.items():
        np.testing.assert_array_equal(square, np.asarray(fit_square(image, 16, "stretch", name)))
    assert np.abs(squares["bilinear"] - squares["bicubic"]).mean() > 3


def test_bicubic_reads_a_jpeg_in_full():
    """libjpeg's scaling would move pixels by more than rounding."""
    pixels = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, "JPEG")
    expected = fit_square(Image.open(stored).convert("RGB"), 16, "stretch", "bicubic")
    actual = read_image(stored.getvalue(), Preprocessing(16, 16, interpolation="bicubic"))
    np.testing.assert_array_equal(actual, np.asarray(expected))
    assert (read_image(stored.getvalue(), Preprocessing(16, 16)) != np.asarray(expected)).any()
