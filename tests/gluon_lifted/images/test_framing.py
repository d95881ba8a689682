import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gluon_lifted.images.fits import FITS
from gluon_lifted.images.framing import (
    box_problem,
    crop_to_box,
    fit_square,
    trim_background,
)
from tests.examples import examples

PLAIN = examples(60, derandomize=True)


def trimmed_by_loops(pixels):
    """Rows and columns that stay, pixel by pixel: luma below 250 (ITU-R BT.601 weights), and 15 px around."""
    height, width, _ = pixels.shape
    dark = [
        (y, x)
        for y in range(height)
        for x in range(width)
        if round(float(pixels[y, x] @ np.array([0.299, 0.587, 0.114]))) < 250
    ]
    if not dark:
        return pixels
    ys, xs = [y for y, _ in dark], [x for _, x in dark]
    top, bottom = max(min(ys) - 15, 0), min(max(ys) + 15, height - 1)
    left, right = max(min(xs) - 15, 0), min(max(xs) + 15, width - 1)
    return pixels[top : bottom + 1, left : right + 1]


@PLAIN
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_trimming_is_the_plain_loop(height, width, dark, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(250, 256, (height, width, 3), dtype=np.uint8)  # a background that is not quite white
    for _ in range(dark):
        pixels[rng.integers(height), rng.integers(width)] = rng.integers(0, 250, 3)
    np.testing.assert_array_equal(np.asarray(trim_background(Image.fromarray(pixels))), trimmed_by_loops(pixels))


def test_249_is_object_and_250_is_background():
    image = Image.new("RGB", (100, 80), (250, 250, 250))
    assert trim_background(image).size == (100, 80)
    image.putpixel((50, 40), (249, 249, 249))
    assert trim_background(image).size == (31, 31)
    image.putpixel((99, 0), (0, 0, 0))
    assert trim_background(image).size == (65, 56)


def test_padding_keeps_the_aspect_ratio_and_centers():
    wide = Image.new("RGB", (60, 20), "red")
    expected = np.full((30, 30, 3), 255, np.uint8)
    expected[10:20] = (255, 0, 0)
    np.testing.assert_array_equal(np.asarray(fit_square(wide, 30, "pad", "bilinear")), expected)
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(np.asarray(fit_square(tall, 30, "pad", "bilinear")), expected.swapaxes(0, 1))


def test_small_images_are_enlarged_and_an_odd_rest_of_white_goes_below():
    expected = np.full((9, 9, 3), 255, np.uint8)
    expected[2:6] = 0  # 4.5 rounds to 4; of 5 white rows 2 are above
    np.testing.assert_array_equal(np.asarray(fit_square(Image.new("RGB", (2, 1)), 9, "pad", "bilinear")), expected)


@PLAIN
@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 64), st.sampled_from(list(FITS)))
def test_any_size_becomes_a_square(width, height, side, fit):
    square = np.asarray(fit_square(Image.new("RGB", (width, height)), side, fit, "bilinear"))
    assert square.shape == (side, side, 3)
    used = (square == 0).all(axis=2)
    rows, columns = used.any(axis=1).sum(), used.any(axis=0).sum()
    assert max(rows, columns) == side
    if fit == "pad":
        longer = max(width, height)
        assert abs(columns - max(width * side / longer, 1)) <= 0.5
        assert abs(rows - max(height * side / longer, 1)) <= 0.5
    else:
        assert rows == columns


@PLAIN
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_covering_is_resizing_the_shorter_side_and_cropping(width, height, side, seed):
    image = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))
    shorter = min(width, height)
    size = (width * side // shorter, height * side // shorter)
    whole = np.asarray(image.resize(size, Image.Resampling.BILINEAR), int)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    cropped = whole[top : top + side, left : left + side]
    covered = np.asarray(fit_square(image, side, "cover", "bilinear"), int)
    assert np.abs(covered - cropped).max() <= 1  # weights are rounded


def test_covering_a_line_makes_no_large_image():
    assert fit_square(Image.new("RGB", (1_000_000, 1)), 256, "cover", "bilinear").size == (256, 256)


def test_boxes_grow_to_whole_pixels_and_are_cut_off_at_the_edges():
    pixels = np.arange(10 * 12, dtype=np.uint8).reshape(10, 12)
    image = Image.fromarray(pixels)
    np.testing.assert_array_equal(np.asarray(crop_to_box(image, (2, 3, 5, 7))), pixels[3:7, 2:5])
    np.testing.assert_array_equal(np.asarray(crop_to_box(image, (2.1, 2.9, 4.9, 6.1))), pixels[2:7, 2:5])
    np.testing.assert_array_equal(np.asarray(crop_to_box(image, (-1, -0.5, 13, 10.5))), pixels)


@PLAIN
@given(st.integers(1, 40), st.integers(1, 40), st.lists(st.floats(-3, 43), min_size=4, max_size=4))
def test_a_box_without_a_problem_holds_a_pixel(width, height, edges):
    left, top, right, bottom = edges
    box = (left, top, right, bottom)
    fits = (
        -1 <= left < right <= width + 1
        and -1 <= top < bottom <= height + 1
        and min(right, width) > max(left, 0)
        and min(bottom, height) > max(top, 0)
    )
    assert (box_problem(box, (width, height)) is None) == fits
    if fits:
        assert min(crop_to_box(Image.new("L", (width, height)), box).size) >= 1


@pytest.mark.parametrize("edge", range(4))
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_boxes_that_are_not_finite_do_not_fit(edge, value):
    box = [0.0, 0.0, 5.0, 5.0]
    box[edge] = value
    assert "exceeds its 9 x 9 px" in box_problem(tuple(box), (9, 9))
