import io
import re
import warnings
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from gluon_lifted.errors import ConfigError, ImageError
from gluon_lifted.images import (
    DecodeLimits,
    Preprocessing,
    center_crop,
    check_image,
    denormalize,
    normalize,
    preprocessing_from_json,
    read_image,
    reading,
)


def to(side, **how):
    return Preprocessing(resize=side, crop=side, **how)


RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(top_left, top_right, bottom_left, bottom_right, side=64):
    """An image of four colors, uint8 (side, side, 3)."""
    half = side // 2
    array = np.empty((side, side, 3), np.uint8)
    array[:half, :half], array[:half, half:] = top_left, top_right
    array[half:, :half], array[half:, half:] = bottom_left, bottom_right
    return array


def encoded(array, kind="PNG", **options):
    content = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(content, kind, **options)
    return content.getvalue()


def corners(square):
    """Colors well inside the four quadrants."""
    near, far = len(square) // 4, 3 * len(square) // 4
    return [tuple(square[y, x].tolist()) for y in (near, far) for x in (near, far)]


def test_channels_are_red_green_blue_whatever_the_source(tmp_path):
    content = encoded(quadrants(RED, GREEN, BLUE, WHITE))
    (tmp_path / "a.png").write_bytes(content)
    for source in (content, tmp_path / "a.png", str(tmp_path / "a.png")):
        square = read_image(source, to(16))
        assert square.shape == (16, 16, 3)
        assert square.dtype == np.uint8
        assert corners(square) == [RED, GREEN, BLUE, WHITE]


# EXIF orientation -> where the stored top left, top right, bottom left, bottom right quadrants are shown
# (CIPA DC-008, tag 0x0112): 2 mirrors, 3 turns by 180 degrees, 4 flips, 5-8 swap rows and columns.
SHOWN = {
    1: (RED, GREEN, BLUE, WHITE),
    2: (GREEN, RED, WHITE, BLUE),
    3: (WHITE, BLUE, GREEN, RED),
    4: (BLUE, WHITE, RED, GREEN),
    5: (RED, BLUE, GREEN, WHITE),
    6: (BLUE, RED, WHITE, GREEN),
    7: (WHITE, GREEN, BLUE, RED),
    8: (GREEN, WHITE, RED, BLUE),
}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_images_are_turned_upright(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    content = encoded(quadrants(RED, GREEN, BLUE, WHITE), kind, exif=exif, **options)
    for actual, expected in zip(corners(read_image(content, to(32))), SHOWN[orientation], strict=True):
        np.testing.assert_allclose(actual, expected, atol=12)  # JPEG


def test_the_whole_image_is_stretched_to_a_square():
    wide = quadrants(RED, GREEN, BLUE, WHITE)[::4]  # 16 high, 64 wide
    assert corners(read_image(encoded(wide), to(20))) == [RED, GREEN, BLUE, WHITE]


def test_shrinking_averages_the_pixels():
    """Pillow widens its bilinear filter by the reduction, so that no pixel is skipped."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    np.testing.assert_allclose(read_image(encoded(noise), to(2)), 127.5, atol=4)


def test_jpeg_at_reduced_scale_is_close_to_the_full_one():
    """libjpeg's scaling changes pixels slightly but must not move them."""
    rng = np.random.default_rng(0)
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((1600, 1200), Image.Resampling.BICUBIC)
    )
    content = encoded(smooth, "JPEG", quality=95)
    full = np.asarray(Image.open(io.BytesIO(content)).resize((64, 64), Image.Resampling.BILINEAR), np.int16)
    assert np.abs(read_image(content, to(64)) - full).max() <= 3


@pytest.mark.parametrize(
    ("size", "how", "box", "decoded"),
    [
        ((1600, 900), to(256), None, (800, 450)),
        ((1600, 900), to(128), None, (400, 225)),
        ((1600, 900), to(1000), None, (1600, 900)),
        ((1600, 900), to(200, fit="pad"), None, (200, 113)),
        ((1600, 900), to(201, fit="pad"), None, (400, 225)),
        ((1600, 900), to(128, trim=True), None, (1600, 900)),
        ((1600, 900), to(100), None, (200, 113)),
        ((1600, 900), to(100), (0, 0, 1600, 900), (1600, 900)),
        ((1600, 900), to(200, fit="cover"), None, (400, 225)),
        ((1600, 4), to(100, fit="pad"), None, (400, 1)),
        ((1600, 1), to(100, fit="pad"), None, (1600, 1)),
    ],
)
def test_jpeg_is_never_decoded_smaller_than_asked_for_and_in_full_for_a_box(monkeypatch, size, how, box, decoded):
    sizes = []
    real = reading.to_rgb
    monkeypatch.setattr(reading, "to_rgb", lambda image, samples: sizes.append(image.size) or real(image, samples))
    read_image(encoded(Image.new("RGB", size), "JPEG"), how, box)
    assert sizes == [decoded]


@pytest.mark.parametrize(
    ("pixel", "mode", "expected"),
    [
        ((200, 100, 50, 255), "RGBA", (200, 100, 50)),
        ((200, 100, 50, 0), "RGBA", WHITE),
        ((200, 100, 50, 51), "RGBA", (244, 224, 214)),  # 0.2 * pixel + 0.8 * 255
        ((100, 51), "LA", (224, 224, 224)),
        (77, "L", (77, 77, 77)),
        (1, "1", WHITE),
    ],
)
def test_other_modes(pixel, mode, expected):
    content = encoded(Image.new(mode, (8, 8), pixel))
    np.testing.assert_allclose(read_image(content, to(4))[1, 1], expected, atol=1)


def test_transparent_palette_color_is_white():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert tuple(read_image(encoded(image, "PNG", transparency=1), to(4))[1, 1]) == WHITE
    assert tuple(read_image(encoded(image, "PNG"), to(4))[1, 1]) == (10, 20, 30)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_gray_is_scaled_and_not_cut_off(order):
    gray = np.full((8, 8), 40000, order)
    for kind in ("PNG", "TIFF"):
        assert tuple(read_image(encoded(gray, kind), to(4))[1, 1]) == (156,) * 3  # 40000 / 256


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_32_bit_gray_has_no_known_range(kind):
    with pytest.raises(ImageError, match="no fixed range"):
        read_image(encoded(np.full((8, 8), 300, kind), "TIFF"), to(4))


def test_cmyk():
    content = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    np.testing.assert_allclose(read_image(content, to(4))[1, 1], RED, atol=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image of a known format"),
        (b"hello, this is text", "not an image of a known format"),
        (encoded(np.zeros((200, 200, 3), np.uint8), "JPEG")[:-300], "truncated"),
        (encoded(np.zeros((200, 200, 3), np.uint8))[:100], "truncated"),
        (b"\x89PNG\r\n\x1a\n", "begins like an image"),
    ],
)
def test_content_that_is_no_whole_image(tmp_path, content, message):
    with pytest.raises(ImageError, match=rf"bytes in memory: cannot be read .*{message}"):
        read_image(content, to(16))
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=rf"bad\.jpg: cannot be read .*({message})"):
        read_image(tmp_path / "bad.jpg", to(16))


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(ImageError, match=r"none\.jpg: cannot be read"):
        read_image(tmp_path / "none.jpg", to(16))
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path, to(16))


def test_decompression_bombs_are_not_decoded(monkeypatch):
    content = encoded(np.zeros((100, 100, 3), np.uint8))
    with pytest.raises(ImageError, match="100 x 100 px, more than the limit"):
        read_image(content, to(16), limits=DecodeLimits(max_pixels=9_999))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4_000)  # Pillow itself refuses twice that
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(content, to(16))


def test_damaged_files_never_give_another_error():
    """Randomly changed and truncated bytes give an image or an `ImageError`."""
    rng = np.random.default_rng(0)
    picture = quadrants(RED, GREEN, BLUE, WHITE)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = [encoded(picture, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    whole += [encoded(picture, "BMP"), encoded(Image.fromarray(picture).convert("P"), "GIF")]
    for number in range(600):
        content = bytearray(whole[number % len(whole)])
        for offset in rng.integers(0, min(len(content), 300), 4):
            content[offset] = rng.integers(256)
        box = (1, 2, 50, 40) if number % 5 == 0 else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert read_image(bytes(content[: rng.integers(1, 2 * len(content))]), to(8), box).shape == (8, 8, 3)
            except ImageError:
                continue


def test_a_box_is_all_that_is_used():
    picture = quadrants(RED, GREEN, BLUE, WHITE)
    assert corners(read_image(encoded(picture), to(16), (0, 0, 32, 32))) == [RED] * 4
    assert corners(read_image(encoded(picture), to(16), (32, 0, 64, 64))) == [GREEN, GREEN, WHITE, WHITE]
    assert corners(read_image(encoded(picture), to(16), (16, 16, 48, 48))) == [RED, GREEN, BLUE, WHITE]
    whole = read_image(encoded(picture), to(16))
    np.testing.assert_array_equal(read_image(encoded(picture), to(16), (0, 0, 64, 64)), whole)


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_boxes_are_in_pixels_of_the_upright_image(orientation, kind):
    rng = np.random.default_rng(orientation)
    stored = np.asarray(
        Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((701, 403), Image.Resampling.BICUBIC)
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(stored, kind, exif=exif, **({"quality": 97} if kind == "JPEG" else {}))
    # NumPy's turns: which array is shown for a stored one.
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(stored, 1),
    }[orientation]
    height, width = turned.shape[:2]
    left, top, right, bottom = width - 330, height - 390, width - 10, height - 5
    cut = Image.fromarray(np.ascontiguousarray(turned[top:bottom, left:right]))
    expected = np.asarray(cut.resize((40, 40), Image.Resampling.BILINEAR), np.int16)
    actual = read_image(content, to(40), (left, top, right, bottom))
    assert np.abs(actual - expected).max() <= (3 if kind == "JPEG" else 0)
    with pytest.raises(ImageError, match=rf"exceeds its {width} x {height} px"):
        read_image(content, to(40), (left, top, width + 2, bottom))


def test_a_box_that_does_not_fit_is_named(tmp_path):
    path = tmp_path / "cropped.jpg"
    path.write_bytes(encoded(Image.new("RGB", (300, 200)), "JPEG"))
    message = (
        r"cropped\.jpg: its bounding box \(38, 115, 569, 375\) exceeds its 300 x 200 px\. "
        r"If the images are cropped already, leave out --use-boxes\."
    )
    with pytest.raises(ImageError, match=message):
        read_image(path, to(16), (38, 115, 569, 375))
    assert re.search(message, check_image(path, (38, 115, 569, 375)))
    assert check_image(path, (0, 0, 300, 200)) is None
    assert check_image(path) is None
    assert "none.jpg: cannot be read" in check_image(tmp_path / "none.jpg", (0, 0, 1, 1))


def test_a_box_is_cut_out_before_the_background_is_trimmed():
    picture = np.full((200, 300, 3), 255, np.uint8)
    picture[20:60, 20:60] = RED  # outside the box
    picture[120:140, 150:160] = BLUE
    content = encoded(picture)
    square = read_image(content, to(50, fit="pad", trim=True), (100, 100, 300, 200))
    # Kept: 20 x 10 px and 15 on each side = 50 high, 40 wide, in the middle of 50 x 50.
    expected = np.full((50, 50, 3), 255, np.uint8)
    expected[15:35, 20:30] = BLUE
    np.testing.assert_array_equal(square, expected)


@pytest.mark.parametrize(("side", "crop", "offset"), [(256, 227, 14), (10, 4, 3), (10, 5, 2), (7, 7, 0)])
def test_center_crop_offset(side, crop, offset):
    image = np.arange(side * side * 3).reshape(side, side, 3) % 251
    cut = center_crop(image.astype(np.uint8), crop)
    assert cut.shape == (crop, crop, 3)
    assert (cut == image[offset : offset + crop, offset : offset + crop]).all()


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_normalize_is_the_plain_formula(channels):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    how = Preprocessing(resize=5, crop=3, channels=channels, mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 8.0))
    batch = normalize(pixels, how)
    assert batch.shape == (2, 3, 3, 4)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    for n, y, x, c in np.ndindex(2, 3, 4, 3):
        source = c if channels == "RGB" else 2 - c
        expected = (float(pixels[n, y, x, source]) - how.mean[c]) / how.std[c]
        assert batch[n, c, y, x] == pytest.approx(expected, abs=1e-5)


def test_normalize_defaults_are_image_nets_statistics():
    pixels = np.array([[[[0, 128, 255]]]], np.uint8)
    expected = [(0 / 255 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (255 / 255 - 0.406) / 0.225]
    np.testing.assert_allclose(normalize(pixels, Preprocessing())[0, :, 0, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crop": 0}, "do not fit"),
        ({"crop": 257}, "do not fit"),
        ({"resize": 5000}, "do not fit"),
        ({"channels": "GRB"}, "channel order 'GRB'"),
        ({"std": (1.0, 0.0, 1.0)}, "std above 0"),
        ({"std": (1.0, float("nan"), 1.0)}, "finite"),
        ({"mean": (1.0, float("inf"), 1.0)}, "finite"),
        ({"mean": (1.0, 1.0)}, "three finite numbers"),
        ({"fit": "crop"}, "fit 'crop' is unknown. Choose one of 'stretch', 'pad', 'cover'"),
        ({"interpolation": "nearest"}, "interpolation 'nearest' is unknown. Choose one of 'bilinear', 'bicubic'"),
    ],
)
def test_preprocessing_that_cannot_work(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Preprocessing(**wrong)


FIELDS = {
    "resize": 72,
    "crop": 64,
    "channels": "BGR",
    "mean": [104, 117, 123],
    "std": [1, 1, 1],
    "fit": "pad",
    "trim": True,
    "interpolation": "bicubic",
}


def test_preprocessing_from_json():
    expected = Preprocessing(72, 64, "BGR", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0), "pad", True, "bicubic")
    assert preprocessing_from_json(FIELDS) == expected
    assert set(asdict(expected)) == set(FIELDS)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": None},
        {"mean": [1, 2]},
        {"mean": ["a", "b", "c"]},
        {"resize": "x"},
        {"resize": float("inf")},
        {"fit": "crop"},
        {"fit": None},
        {"trim": 1},
        {"trim": "false"},
        {"interpolation": "nearest"},
        {"interpolation": None},
    ],
)
def test_preprocessing_from_damaged_json(change):
    with pytest.raises(ConfigError):
        preprocessing_from_json({**FIELDS, **change})


@pytest.mark.parametrize("missing", FIELDS)
def test_preprocessing_from_json_needs_every_field(missing):
    with pytest.raises(ConfigError, match=f"damaged .*{missing}"):
        preprocessing_from_json({name: value for name, value in FIELDS.items() if name != missing})


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_pixels_come_back_from_normalized_images(channels: str) -> None:
    pixels = np.arange(256 * 3, dtype=np.uint16).astype(np.uint8).reshape(2, 16, 8, 3)
    preprocessing = Preprocessing(channels=channels, mean=(100.0, 110.5, 0.0), std=(58.0, 0.5, 300.0))
    np.testing.assert_array_equal(denormalize(normalize(pixels, preprocessing), preprocessing), pixels)
