"""Every kind of TIFF that Pillow opens is read correctly, or refused with a reason."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from gluon_lifted.errors import ImageError
from gluon_lifted.images import Preprocessing, check_image, read_image
from tests.gluon_lifted.images.tiff_writer import (
    DEFLATE,
    NONE,
    PACKBITS,
    Tiff,
)

SIDE = 13  # odd, so that rows of few bits end within a byte
HOW = Preprocessing(resize=SIDE, crop=SIDE)
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (SIDE, SIDE, 3))  # (H, W, 3)
ALPHA = RNG.integers(0, 256, (SIDE, SIDE, 1))
GRAY = PICTURE[..., :1]
DULL = 90 + PICTURE * 0.3  # L*a*b* of 8 bits is coarse for dark and saturated colors

Array = NDArray[np.float64]
LAYOUTS = {"one strip": {}, "strips": {"rows_per_strip": 5}, "tiles": {"tile": 16}}
# Near a wrong picture of noise no pixel is so close
TOLERANCE = {"premultiplied": 2.0, "YCbCr": 3.0, "LAB": 4.0}


def lab_of(rgb: Array) -> Array:
    """CIE L*a*b* (D50) of sRGB, both (H, W, 3), as TIFF stores it: a and b as signed bytes (TIFF 6.0, section 23)."""
    linear = np.where(rgb <= 0.04045 * 255, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    # sRGB to XYZ, adapted to D50 by Bradford's method (Lindbloom)
    to_xyz = [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
    ratio = linear @ np.array(to_xyz).T / [0.96422, 1.0, 0.82521]
    root = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([(116 * y - 16) * 2.55, 500 * (x - y) % 256, 200 * (y - z) % 256], -1)


def samples_of(photometric: int, bits: int) -> tuple[Array, Array]:
    """Samples of the picture, (H, W, channels), and what 8 bits of them show, (H, W, 3)."""
    most = (1 << bits) - 1
    if photometric in (0, 1):
        stored = np.round(GRAY * most / 255)
        return (most - stored if photometric == 0 else stored), np.repeat(stored * 255 / most, 3, -1)
    if photometric == 2:
        stored = np.round(PICTURE * most / 255)
        return stored, stored * 255 / most
    if photometric == 3:
        stored = np.round(GRAY * most / 255)
        return stored, palette(bits)[stored[..., 0].astype(int)]
    if photometric == 5:
        inks = np.round((255 - PICTURE) * most / 255)
        return np.concatenate([inks, np.zeros_like(inks[..., :1])], -1), (most - inks) * 255 / most
    if photometric == 8:
        return np.round(lab_of(DULL)) % 256, DULL
    red, green, blue = np.moveaxis(PICTURE.astype(float), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    chroma = [(blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128]
    return np.clip(np.round(np.stack([luma, *chroma], -1)), 0, 255), PICTURE.astype(float)


def palette(bits: int) -> Array:
    """Colors, (2 ** bits, 3)."""
    return np.random.default_rng(bits).integers(0, 256, (1 << bits, 3)).astype(float)


def with_extra(stored: Array, shown: Array, extra: tuple[int, ...], bits: int) -> tuple[Array, Array]:
    """Samples with more channels: unspecified ones, and alpha, which is laid over white."""
    most = (1 << bits) - 1
    for kind in extra:
        alpha = np.round(ALPHA * most / 255)
        if kind == 1:
            stored = np.round(stored * (alpha / most))
        if kind != 0:
            shown = shown * alpha / most + 255 * (1 - alpha / most)
        stored = np.concatenate([stored, alpha], -1)
    return stored, shown


def files_of(key: tuple, planar: int, compression: int) -> tuple[list[bytes], Array]:
    """A file for each layout of a key of Pillow's table, and what they show."""
    order, photometric, sample_format, fill_order, all_bits, extra = key
    bits = all_bits[0]
    stored, shown = samples_of(photometric, bits)
    if photometric == 6 and len(all_bits) == 1:  # luma alone
        stored, shown = GRAY.astype(float), np.repeat(GRAY, 3, -1).astype(float)
    missing = len(all_bits) - stored.shape[-1] - len(extra)
    stored, shown = with_extra(stored, shown, extra + (2,) * missing, bits)
    options = {
        "photometric": photometric,
        "bits": bits,
        "order": "<" if order == TiffImagePlugin.II else ">",
        "sample_format": sample_format[0],
        "extra": extra,
        "fill_order": fill_order,
        "planar": planar,
        "compression": compression,
        "colormap": tuple(int(value) * 257 for value in palette(bits).T.ravel()) if photometric == 3 else (),
        "tags": {530: (1, 1)} if photometric == 6 else {},
    }
    values = stored.astype(np.int64).tolist()
    return [Tiff(**options, **layout).encode(values) for layout in LAYOUTS.values()], shown


def tolerance_of(key: tuple) -> float:
    _, photometric, _, _, _, extra = key
    if photometric == 8:
        return TOLERANCE["LAB"]
    if photometric == 6:
        return TOLERANCE["YCbCr"]
    return TOLERANCE["premultiplied"] if 1 in extra or 2 in extra else 1.01


def must_be_read(key: tuple, planar: int, compression: int) -> bool:
    """Whether an error is no way out: unsigned samples of up to 16 bits, interleaved, that Pillow has a decoder for."""
    _, photometric, sample_format, fill_order, bits, _ = key
    reversed_bits = [(0, (8,)), (3, (1,)), (3, (2,)), (3, (4,))]
    undecoded = fill_order == 2 and compression == NONE and (photometric, bits) in reversed_bits
    undecoded |= (photometric, bits) == (6, (8,))  # YCbCr without Cb and Cr
    undecoded |= TiffImagePlugin.OPEN_INFO[key] == ("RGB", "RGBX") and photometric == 6  # before Pillow 12
    return planar == 1 and sample_format == (1,) and max(bits) <= 16 and not undecoded


@pytest.mark.parametrize("key", TiffImagePlugin.OPEN_INFO, ids=str)
def test_whatever_pillow_opens_is_right_or_an_error(key: tuple) -> None:
    for planar, compression in product((1, 2), (NONE, DEFLATE, PACKBITS)):
        files, shown = files_of(key, planar, compression)
        for layout, content in zip(LAYOUTS, files, strict=True):
            where = f"planar {planar}, compression {compression}, {layout}"
            actual = read_or_error(content)
            if isinstance(actual, ImageError):
                assert not must_be_read(key, planar, compression), f"{where}: {actual}"
            else:
                assert np.abs(actual - shown).max() <= tolerance_of(key), where
                assert key[2] == (1,), f"{where}: signed or floating-point samples were read as if they were not"


def read_or_error(content: bytes) -> NDArray[np.uint8] | ImageError:
    try:
        return read_image(content, HOW)
    except ImageError as error:
        return error


def small(**options) -> bytes:
    """A gray TIFF, 2 x 2 px."""
    return Tiff(**options).encode([[[0], [1]], [[2], [3]]])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (small(bits=16, sample_format=2), "signed 16-bit gray has no fixed range; save it with 8 or unsigned 16 bits"),
        (small(bits=8, sample_format=2), "signed 8-bit gray has no fixed range"),
        (small(bits=32, sample_format=2), "signed 32-bit gray has no fixed range"),
        (small(bits=32, sample_format=3), "32-bit floating-point gray has no fixed range"),
        (small(bits=32), "32-bit gray has no fixed range"),
        (small(bits=16, planar=2), "its samples are in separate planes, which Pillow mixes up"),
        (small(bits=32, sample_format=3, photometric=0), "32-bit floating-point gray has no fixed range"),
        (small(bits=16, photometric=0, order=">"), "stored in a way that Pillow does not know"),
        (small(bits=64), "stored in a way that Pillow does not know"),
        (small(photometric=4), "stored in a way that Pillow does not know"),
    ],
)
def test_what_cannot_be_shown_says_why(tmp_path, content: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=f"^x.tif: cannot be read .*{reason}"):
        read_image(content, HOW, name="x.tif")
    (tmp_path / "x.tif").write_bytes(content)
    assert reason in check_image(tmp_path / "x.tif")  # before a training run, not during it


def test_gray_of_12_and_16_bits_and_white_is_zero_are_the_same_picture() -> None:
    deep = RNG.integers(0, 1 << 12, (SIDE, SIDE, 1))
    expected = np.repeat(deep >> 4, 3, -1)
    for options, samples in [
        ({"bits": 12}, deep),
        ({"bits": 16}, deep << 4),
        ({"bits": 16, "order": ">"}, deep << 4),
        ({"bits": 16, "photometric": 0}, 0xFFFF - (deep << 4)),
    ]:
        for compression in (NONE, DEFLATE):
            content = Tiff(**options, compression=compression).encode(samples.tolist())
            np.testing.assert_array_equal(read_image(content, HOW), expected)


def test_palette_of_8_bits_is_taken_for_what_it_is() -> None:
    """Old writers left the color map at 8 bits; Pillow shows black, libtiff looks for it too (tif_getimage.c)."""
    stored, shown = samples_of(3, 8)
    colors = tuple(int(value) for value in palette(8).T.ravel())
    content = Tiff(photometric=3, colormap=colors).encode(stored.astype(int).tolist())
    np.testing.assert_array_equal(read_image(content, HOW), shown)


def test_subsampled_ycbcr_and_other_inks_are_refused() -> None:
    pixels = [[[10, 20, 30]] * 2] * 2
    for tags in ({}, {530: (2, 2)}, {530: (2, 1)}):  # without the tag it is 2, 2
        with pytest.raises(ImageError, match="uncompressed YCbCr samples are not decoded"):
            read_image(Tiff(photometric=6, tags=tags).encode(pixels), HOW)
    inks = [[[10, 20, 30, 40]] * 2] * 2
    read_image(Tiff(photometric=5, tags={332: (1,)}).encode(inks), HOW)
    with pytest.raises(ImageError, match="inks are not cyan, magenta, yellow and black"):
        read_image(Tiff(photometric=5, tags={332: (2,)}).encode(inks), HOW)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_gray_is_turned_upright(orientation: int) -> None:
    deep = RNG.integers(0, 1 << 16, (SIDE, SIDE, 1))
    content = Tiff(bits=16, tags={274: (orientation,)}).encode(deep.tolist())
    eight = Tiff(bits=8, tags={274: (orientation,)}).encode((deep >> 8).tolist())
    np.testing.assert_array_equal(read_image(content, HOW), read_image(eight, HOW))
