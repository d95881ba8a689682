"""PNG, BMP, GIF, JPEG, WebP and AVIF of every depth: compared with the picture that they were written from."""

from __future__ import annotations

import io
from itertools import product

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from gluon_lifted.errors import ImageError
from gluon_lifted.images import Preprocessing, read_image
from tests.gluon_lifted.images import bmp_writer as bmp
from tests.gluon_lifted.images.png_writer import (
    GRAY,
    GRAY_ALPHA,
    PALETTE,
    RGB,
    RGBA,
    Png,
)

SIDE = 13  # odd, so that rows of few bits end within a byte
HOW = Preprocessing(resize=SIDE, crop=SIDE)
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (SIDE, SIDE, 3))  # (H, W, 3)
ALPHA = RNG.integers(0, 256, (SIDE, SIDE, 1))
INTERLACED = (False, True)

Array = NDArray[np.float64]


def require_close(content: bytes, shown: ArrayLike, tolerance: float = 1.01) -> None:
    """``shown`` is (H, W, 3) or, gray, (H, W, 1)."""
    assert np.abs(read_image(content, HOW) - np.asarray(shown, float)).max() <= tolerance


def over_white(shown: ArrayLike, opacity: ArrayLike) -> Array:
    """``opacity`` is 0 to 1."""
    return np.asarray(shown) * np.asarray(opacity) + 255 * (1 - np.asarray(opacity))


def stored_in(bits: int, picture: NDArray[np.int64]) -> NDArray[np.int64]:
    """Samples of a picture; 16-bit samples use all bits."""
    stored = np.round(picture * ((1 << bits) - 1) / 255).astype(np.int64)
    low = RNG.integers(-128, 128, stored.shape) if bits == 16 else 0
    return np.clip(stored + low, 0, (1 << bits) - 1)


def palette_of(bits: int) -> NDArray[np.int64]:
    return np.random.default_rng(bits).integers(0, 256, (1 << bits, 3))


def colors(table: NDArray[np.int64]) -> tuple[tuple[int, int, int], ...]:
    return tuple((red, green, blue) for red, green, blue in table.tolist())


@pytest.mark.parametrize(("bits", "interlaced"), list(product((1, 2, 4, 8, 16), INTERLACED)))
def test_gray_png(bits: int, interlaced: bool) -> None:
    most = (1 << bits) - 1
    stored = stored_in(bits, PICTURE[..., :1])
    shown = stored * 255 / most
    require_close(Png(GRAY, bits, interlaced).encode(stored.tolist()), shown)
    require_close(Png(GRAY, bits, interlaced, chunks=((b"sBIT", b"\1"),)).encode(stored.tolist()), shown)
    for value in {0, 1, most, int(stored[3, 3, 0])}:
        content = Png(GRAY, bits, interlaced, (value,)).encode(stored.tolist())
        require_close(content, np.where(stored == value, 255, shown))
    if bits < 16:  # only the low bits of a transparent value count; Pillow uses any bit for 1-bit gray
        value = int(stored[3, 3, 0]) | (bits > 1) << bits
        content = Png(GRAY, bits, interlaced, (value,)).encode(stored.tolist())
        require_close(content, np.where(stored == stored[3, 3, 0], 255, shown))


@pytest.mark.parametrize(("bits", "interlaced"), list(product((1, 2, 4, 8), INTERLACED)))
def test_palette_png(bits: int, interlaced: bool) -> None:
    table, stored = palette_of(bits), RNG.integers(0, 1 << bits, (SIDE, SIDE, 1))
    shown = table[stored[..., 0]]
    partly = np.random.default_rng(1).integers(0, 256, len(table))
    short = np.where(stored == 0, 128, 255)
    for transparent, alpha in [
        ((), np.full_like(stored, 255)),
        (tuple(partly.tolist()), partly[stored]),
        ((255, 0), np.where(stored == 1, 0, 255)),
        ((128,), short),
    ]:
        content = Png(PALETTE, bits, interlaced, transparent, colors(table)).encode(stored.tolist())
        require_close(content, over_white(shown, alpha / 255))


@pytest.mark.parametrize(("bits", "interlaced"), list(product((8, 16), INTERLACED)))
def test_color_and_alpha_png(bits: int, interlaced: bool) -> None:
    most = (1 << bits) - 1
    stored, alpha = stored_in(bits, PICTURE), stored_in(bits, ALPHA)
    shown, opacity = stored * 255 / most, alpha / most
    require_close(Png(RGB, bits, interlaced).encode(stored.tolist()), shown)
    content = Png(RGBA, bits, interlaced).encode(np.concatenate([stored, alpha], -1).tolist())
    require_close(content, over_white(shown, opacity), tolerance=2)
    content = Png(GRAY_ALPHA, bits, interlaced).encode(np.concatenate([stored[..., :1], alpha], -1).tolist())
    require_close(content, over_white(shown[..., :1], opacity), tolerance=2)
    key = tuple(stored[3, 3].tolist())
    keyed = Png(RGB, bits, interlaced, key).encode(stored.tolist())
    if bits == 8:
        require_close(keyed, np.where((stored == key).all(-1, keepdims=True), 255, shown))
    else:
        with pytest.raises(ImageError, match="16-bit color with a transparent color is not decoded; save it with an"):
            read_image(keyed, HOW)


def test_text_named_transparency_is_a_text() -> None:
    stored = stored_in(8, PICTURE)
    content = Png(RGB, chunks=((b"tEXt", b"transparency\0none"),)).encode(stored.tolist())
    require_close(content, stored)


def test_gray_png_and_tiff_of_16_bits_are_the_same() -> None:
    values = np.arange(SIDE * SIDE).reshape(SIDE, SIDE, 1) * 387
    encoded = io.BytesIO()
    Image.fromarray(values[..., 0].astype(np.uint16)).save(encoded, "TIFF")
    of_png = read_image(Png(GRAY, 16).encode(values.tolist()), HOW)
    np.testing.assert_array_equal(of_png, read_image(encoded.getvalue(), HOW))
    assert np.abs(of_png - np.round(values * 255 / 65535)).max() <= 1


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_palette_bmp(bits: int) -> None:
    stored = RNG.integers(0, 1 << bits, (SIDE, SIDE))
    ramp = np.repeat(np.arange(1 << bits)[:, None] * 255 // ((1 << bits) - 1), 3, 1)
    for table in (palette_of(bits), ramp, ramp[::-1]):
        for top_down in (False, True):
            require_close(
                bmp.Bmp(bits, palette=colors(table), top_down=top_down).encode(stored.tolist()), table[stored]
            )
    if bits > 1:
        run_lengths = bmp.RLE8 if bits == 8 else bmp.RLE4
        require_close(bmp.Bmp(bits, run_lengths, colors(ramp)).encode(stored.tolist()), ramp[stored])


# Bits of a pixel, first bit and number of bits of red, green, blue
FIELDS = {
    "555": (16, (10, 5, 0), (5, 5, 5)),
    "565": (16, (11, 5, 0), (5, 6, 5)),
    "444": (16, (8, 4, 0), (4, 4, 4)),
    "BGRX": (32, (16, 8, 0), (8, 8, 8)),
    "RGBX": (32, (0, 8, 16), (8, 8, 8)),
    "XBGR": (32, (24, 16, 8), (8, 8, 8)),
    "10 bits": (32, (20, 10, 0), (10, 10, 10)),
}


@pytest.mark.parametrize("fields", FIELDS)
def test_color_bmp(fields: str) -> None:
    depth, shifts, sizes = FIELDS[fields]
    most = np.array([(1 << size) - 1 for size in sizes])
    channels = np.round(PICTURE * most / 255).astype(np.int64)
    pixels = (channels << np.array(shifts)).sum(-1)
    shown = channels * 255 / most
    masks = tuple(int(mask) << shift for mask, shift in zip(most, shifts, strict=True))
    content = bmp.Bmp(depth, bmp.BITFIELDS, masks=masks).encode(pixels.tolist())
    if fields in ("444", "RGBX", "10 bits"):
        with pytest.raises(ImageError, match="Unsupported BMP bitfields layout"):
            read_image(content, HOW)
    else:
        require_close(content, shown)
    if fields == "555":
        require_close(bmp.Bmp(16).encode(pixels.tolist()), shown)
    if fields == "BGRX":
        opaque, alpha = (pixels | ALPHA[..., 0] << 24).tolist(), ALPHA / 255
        require_close(bmp.Bmp(24).encode(pixels.tolist()), shown)
        require_close(bmp.Bmp(32).encode(opaque), shown)  # the fourth byte means nothing there
        require_close(bmp.Bmp(32, bmp.BITFIELDS, masks=(*masks, 0xFF << 24)).encode(opaque), over_white(shown, alpha))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def smooth(channels: int) -> NDArray[np.uint8]:
    """A picture that lossy formats keep, (SIDE, SIDE, channels)."""
    across, down = np.meshgrid(np.linspace(40, 220, SIDE), np.linspace(60, 200, SIDE))
    return np.stack([across, down, (across + down) / 2, down][:channels], -1).astype(np.uint8)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_webp_and_avif(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": "4:4:4"}
    color, alpha = smooth(3), smooth(4)[..., 3:]
    require_close(saved(Image.fromarray(color), kind, **options), color, tolerance=3)
    gray = color[..., 0]
    require_close(saved(Image.fromarray(gray), kind, **options), gray[..., None], tolerance=3)
    with_alpha = Image.fromarray(np.concatenate([color, alpha], -1))
    require_close(saved(with_alpha, kind, **options), over_white(color, alpha / 255), tolerance=4)
    if kind == "AVIF":
        content = saved(with_alpha, kind, alpha_premultiplied=True, **options)
        require_close(content, over_white(color, alpha / 255), tolerance=5)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), color) for color in ("red", "green", "blue")]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    require_close(content, np.broadcast_to([255, 0, 0], (SIDE, SIDE, 3)), tolerance=4)


@pytest.mark.parametrize("transparent", [None, 3])
def test_gif(transparent: int | None) -> None:
    table, stored = palette_of(8), RNG.integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    image = Image.frombytes("P", (SIDE, SIDE), stored.tobytes())
    image.putpalette(table.astype(np.uint8).tobytes())
    shown = np.where((stored == transparent)[..., None], 255, table[stored])
    options = {} if transparent is None else {"transparency": transparent}
    require_close(saved(image, "GIF", optimize=False, **options), shown)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg(mode: str, progressive: bool) -> None:
    """Pillow writes CMYK as Adobe does, inverted and with its marker."""
    image = Image.fromarray(smooth(3)).convert(mode)
    content = saved(image, "JPEG", quality=100, subsampling=0, progressive=progressive)
    require_close(content, np.asarray(image.convert("RGB")), tolerance=4)


def test_jpeg_of_12_bits_is_an_error() -> None:
    content = bytearray(saved(Image.fromarray(smooth(3)), "JPEG"))
    precision = content.index(b"\xff\xc0") + 4  # of SOF0 (ITU-T T.81, B.2.2)
    content[precision] = 12
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(bytes(content), HOW)
