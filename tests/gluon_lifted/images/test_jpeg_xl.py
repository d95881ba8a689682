"""Sizes of JPEG XL files, read before anything is decoded."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gluon_lifted.errors import ImageError
from gluon_lifted.images import (
    DecodeLimits,
    Preprocessing,
    open_image,
    read_image,
)
from gluon_lifted.images.jpeg_xl import upright_size

SIZES = [(64, 64), (256, 8), (300, 200), (1600, 900), (5000, 10), (640, 480), (3000, 2000), (1, 1), (20_000, 300_000)]
RATIOS = [None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)]


def header(width: int, height: int, orientation: int = 1, short: bool = False, ratio: int = 0) -> bytes:
    """A codestream's first bytes, bit by bit (ISO/IEC 18181-1, D.2 and D.3)."""
    text = ""

    def put(value: int, count: int) -> None:
        nonlocal text
        text += format(value, f"0{count}b")[::-1]  # the lowest bit first

    def put_length(length: int) -> None:
        if short:
            put(length // 8 - 1, 5)
            return
        choice = next(choice for choice, count in enumerate((9, 13, 18, 30)) if length <= 1 << count)
        put(choice, 2)
        put(length - 1, (9, 13, 18, 30)[choice])

    put(int(short), 1)
    put_length(height)
    put(ratio, 3)
    if ratio == 0:
        put_length(width)
    put(int(orientation == 1), 1)  # all default
    if orientation != 1:
        put(1, 1)  # extra fields
        put(orientation - 1, 3)
    text += "0" * (-len(text) % 8)
    return b"\xff\x0a" + bytes(int(text[at : at + 8][::-1], 2) for at in range(0, len(text), 8))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("orientation", [1, 3, 5, 8])
def test_size_of_the_header(width: int, height: int, orientation: int) -> None:
    expected = (height, width) if orientation >= 5 else (width, height)
    ways = [header(width, height, orientation)]
    if width % 8 == height % 8 == 0 and max(width, height) <= 256:
        ways.append(header(width, height, orientation, short=True))
    for ratio, shape in enumerate(RATIOS):
        if shape is not None and height * shape[0] // shape[1] == width:
            ways.append(header(width, height, orientation, ratio=ratio))
    for content in ways:
        boxes = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
        for whole in (
            content,
            boxes + (8 + len(content)).to_bytes(4, "big") + b"jxlc" + content,
            boxes + (12 + len(content)).to_bytes(4, "big") + b"jxlp\0\0\0\0" + content,
            boxes + b"\0\0\0\x01jxlc" + (16 + len(content)).to_bytes(8, "big") + content,
        ):
            assert upright_size(whole) == expected


def test_header_that_an_encoder_wrote() -> None:
    assert upright_size(b"\xff\nO\x06\x00-\x88\x02\x00\x81G\xb5\x9f ") == (64, 64)  # by libjxl 0.11


@pytest.mark.parametrize("content", [b"", b"\xff", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cJXL \0\0\0\0\0\0\0\0jxlc"])
def test_file_without_a_codestream(content: bytes) -> None:
    with pytest.raises(ValueError, match="has no codestream"):
        upright_size(content)


def test_images_are_decoded_when_they_are_loaded() -> None:
    pytest.importorskip("pillow_jxl", reason="needs pillow-jxl-plugin")
    across, down = np.meshgrid(np.linspace(40, 220, 32), np.linspace(60, 200, 32))
    picture = np.stack([across, down, (across + down) / 2], -1).astype(np.uint8)
    how = Preprocessing(32, 32)
    for options in ({}, {"use_container": True}):
        content = io.BytesIO()
        with open_image(header(8, 8)):
            Image.fromarray(picture).save(content, "JXL", lossless=True, **options)
        np.testing.assert_array_equal(read_image(content.getvalue(), how), picture)
        with pytest.raises(ImageError, match="32 x 32 px, more than the limit of 1,000"):
            read_image(content.getvalue(), how, limits=DecodeLimits(max_pixels=1000))
        with pytest.raises(ImageError, match="cannot be read"):
            read_image(content.getvalue()[:-20], how)
