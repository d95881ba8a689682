import io
import warnings

import numpy as np
import pytest
from PIL import Image

from gluon_lifted import images
from gluon_lifted.errors import ConfigError, ImageError
from gluon_lifted.images import (
    Preprocessing,
    center_crop,
    normalise,
    preprocessing_from_json,
    random_crop_mirror,
    read_image,
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(top_left, top_right, bottom_left, bottom_right, side=64):
    """An image of four colours, uint8 (side, side, 3)."""
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
    """Colours well inside the four quadrants."""
    near, far = len(square) // 4, 3 * len(square) // 4
    return [tuple(square[y, x].tolist()) for y in (near, far) for x in (near, far)]


def test_channels_are_red_green_blue_whatever_the_source(tmp_path):
    content = encoded(quadrants(RED, GREEN, BLUE, WHITE))
    (tmp_path / "a.png").write_bytes(content)
    for source in (content, tmp_path / "a.png", str(tmp_path / "a.png")):
        square = read_image(source, 16)
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
    for found, expected in zip(corners(read_image(content, 32)), SHOWN[orientation], strict=True):
        np.testing.assert_allclose(found, expected, atol=12)  # JPEG


def test_the_whole_image_is_stretched_to_a_square():
    wide = quadrants(RED, GREEN, BLUE, WHITE)[::4]  # 16 high, 64 wide
    assert corners(read_image(encoded(wide), 20)) == [RED, GREEN, BLUE, WHITE]


def test_shrinking_averages_the_pixels():
    """Pillow's bilinear filter has the width of the shrinking, so that no pixel is passed over."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    np.testing.assert_allclose(read_image(encoded(noise), 2), 127.5, atol=4)


def test_jpeg_at_reduced_scale_is_close_to_the_full_one():
    """libjpeg's own scaling changes pixels a little; it must not move them."""
    rng = np.random.default_rng(0)
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((1600, 1200), Image.Resampling.BICUBIC)
    )
    content = encoded(smooth, "JPEG", quality=95)
    full = np.asarray(Image.open(io.BytesIO(content)).resize((64, 64), Image.Resampling.BILINEAR), np.int16)
    assert np.abs(read_image(content, 64) - full).max() <= 3


def test_jpeg_is_never_decoded_smaller_than_asked_for(monkeypatch):
    sizes = []
    real = images._as_rgb
    monkeypatch.setattr(images, "_as_rgb", lambda image: sizes.append(image.size) or real(image))
    content = encoded(np.zeros((900, 1600, 3), np.uint8), "JPEG")
    read_image(content, 256)
    read_image(content, 128)
    read_image(content, 1000)
    assert sizes == [(800, 450), (400, 225), (1600, 900)]


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
    np.testing.assert_allclose(read_image(content, 4)[1, 1], expected, atol=1)


def test_transparent_palette_colour_is_white():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert tuple(read_image(encoded(image, "PNG", transparency=1), 4)[1, 1]) == WHITE
    assert tuple(read_image(encoded(image, "PNG"), 4)[1, 1]) == (10, 20, 30)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_grey_is_scaled_and_not_cut_off(order):
    grey = np.full((8, 8), 40000, order)
    for kind in ("PNG", "TIFF"):
        assert tuple(read_image(encoded(grey, kind), 4)[1, 1]) == (156,) * 3  # 40000 / 256


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_32_bit_grey_has_no_known_range(kind):
    with pytest.raises(ImageError, match="no fixed range"):
        read_image(encoded(np.full((8, 8), 300, kind), "TIFF"), 4)


def test_cmyk():
    content = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    np.testing.assert_allclose(read_image(content, 4)[1, 1], RED, atol=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image"),
        (b"hello, this is text", "not an image"),
        (encoded(np.zeros((200, 200, 3), np.uint8), "JPEG")[:-300], "cannot be read"),
        (encoded(np.zeros((200, 200, 3), np.uint8))[:100], "cannot be read"),
        (b"\x89PNG\r\n\x1a\n", "not an image|cannot be read"),
    ],
)
def test_content_that_is_no_whole_image(tmp_path, content, message):
    with pytest.raises(ImageError, match=rf"bytes in memory: {message}"):
        read_image(content, 16)
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=rf"bad\.jpg: ({message})"):
        read_image(tmp_path / "bad.jpg", 16)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(ImageError, match=r"none\.jpg: cannot be read"):
        read_image(tmp_path / "none.jpg", 16)
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path, 16)


def test_decompression_bombs_are_not_decoded(monkeypatch):
    content = encoded(np.zeros((100, 100, 3), np.uint8))
    monkeypatch.setattr(images, "MAX_PIXELS", 9_999)
    with pytest.raises(ImageError, match="100 x 100 px is more than the limit"):
        read_image(content, 16)
    monkeypatch.undo()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4_000)  # Pillow refuses twice that by itself
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(content, 16)


def test_damaged_files_never_give_another_error():
    """Bytes changed and cut at random: an image or an `ImageError`, whatever Pillow raises."""
    rng = np.random.default_rng(0)
    picture = quadrants(RED, GREEN, BLUE, WHITE)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = [encoded(picture, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    whole += [encoded(picture, "BMP"), encoded(Image.fromarray(picture).convert("P"), "GIF")]
    for number in range(600):
        content = bytearray(whole[number % len(whole)])
        for place in rng.integers(0, min(len(content), 300), 4):
            content[place] = rng.integers(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert read_image(bytes(content[: rng.integers(1, 2 * len(content))]), 8).shape == (8, 8, 3)
            except ImageError:
                continue


@pytest.mark.parametrize(("side", "crop", "offset"), [(256, 227, 14), (10, 4, 3), (10, 5, 2), (7, 7, 0)])
def test_centre_crop_offset(side, crop, offset):
    image = np.arange(side * side * 3).reshape(side, side, 3) % 251
    cut = center_crop(image.astype(np.uint8), crop)
    assert cut.shape == (crop, crop, 3)
    assert (cut == image[offset : offset + crop, offset : offset + crop]).all()


def test_random_crops_cover_all_offsets_and_mirror_half_of_them():
    image = np.zeros((6, 5, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(6)[:, None], np.arange(5)
    rng = np.random.default_rng(0)
    cuts = [random_crop_mirror(image, 4, rng) for _ in range(2000)]
    assert {cut.shape for cut in cuts} == {(4, 4, 3)}
    mirrored = [cut for cut in cuts if cut[0, 0, 1] > cut[0, -1, 1]]
    assert 0.45 < len(mirrored) / len(cuts) < 0.55
    assert {(int(cut[0, 0, 0]), int(cut[..., 1].min())) for cut in cuts} == {(y, x) for y in (0, 1, 2) for x in (0, 1)}
    assert all((np.diff(cut[:, 0, 0]) == 1).all() for cut in cuts)


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_normalise_is_the_plain_formula(channels):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    how = Preprocessing(resize=5, crop=3, channels=channels, mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 8.0))
    batch = normalise(pixels, how)
    assert batch.shape == (2, 3, 3, 4)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    for n, y, x, c in np.ndindex(2, 3, 4, 3):
        source = c if channels == "RGB" else 2 - c
        expected = (float(pixels[n, y, x, source]) - how.mean[c]) / how.std[c]
        assert batch[n, c, y, x] == pytest.approx(expected, abs=1e-5)


def test_normalise_defaults_are_image_nets_statistics():
    pixels = np.array([[[[0, 128, 255]]]], np.uint8)
    expected = [(0 / 255 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (255 / 255 - 0.406) / 0.225]
    np.testing.assert_allclose(normalise(pixels, Preprocessing())[0, :, 0, 0], expected, atol=1e-5)


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
        ({"mean": (1.0, 1.0)}, "three finite values"),
    ],
)
def test_preprocessing_that_cannot_work(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Preprocessing(**wrong)


def test_preprocessing_from_json():
    fields = {"resize": 72, "crop": 64, "channels": "BGR", "mean": [104, 117, 123], "std": [1, 1, 1]}
    expected = Preprocessing(72, 64, "BGR", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0))
    assert preprocessing_from_json(fields) == expected


@pytest.mark.parametrize(
    "change",
    [{"mean": None}, {"mean": [1, 2]}, {"mean": ["a", "b", "c"]}, {"resize": "x"}, {"resize": float("inf")}],
)
def test_preprocessing_from_damaged_json(change):
    fields = {"resize": 72, "crop": 64, "channels": "BGR", "mean": [104, 117, 123], "std": [1, 1, 1]}
    with pytest.raises(ConfigError):
        preprocessing_from_json({**fields, **change})
    del fields[next(iter(change))]
    with pytest.raises(ConfigError, match="damaged"):
        preprocessing_from_json(fields)
