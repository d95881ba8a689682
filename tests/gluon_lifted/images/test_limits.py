"""Limits of decoding: pixels, and memory of all threads together."""

import ctypes
import io
import json
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gluon_lifted.errors import ImageError
from gluon_lifted.images import DecodeLimits, Preprocessing, read_image
from gluon_lifted.images.limits import decoding_bytes
from tests.gluon_lifted.images.peaks import KINDS, SIDE, WAYS, content_of
from tests.gluon_lifted.images.tiff_writer import DEFLATE, PACKBITS, Tiff

pytestmark = pytest.mark.slow

HOW = WAYS["whole"]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="memory is looked at by glibc and Linux")
def test_an_image_takes_no_more_memory_than_is_reckoned():
    """All kinds and ways in one test: otherwise each test worker would measure all of them."""
    script = Path(__file__).with_name("peaks.py")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=240)
    measured = json.loads(run.stdout)  # kind and way of decoding -> bytes at most, bytes estimated
    assert {f"{kind} {way}" for kind in KINDS for way in WAYS} <= set(measured)
    assert {name: pair for name, pair in measured.items() if pair[0] > pair[1] + (1 << 20)} == {}


def test_progressive_jpeg_is_reckoned_by_its_stored_size():
    with Image.open(io.BytesIO(content_of("progressive"))) as image:
        image.draft("RGB", (SIDE // 8, SIDE // 8))
        assert decoding_bytes(image, SIDE * SIDE, 64) > 6 * SIDE * SIDE


def test_pixel_limit_is_named():
    read_image(content_of("jpeg"), HOW, limits=DecodeLimits(max_pixels=SIDE * SIDE))
    with pytest.raises(ImageError, match=r"^x\.jpg: has 1024 x 1024 px, more than the limit of 1,048,575 pixels\.$"):
        read_image(content_of("jpeg"), HOW, name="x.jpg", limits=DecodeLimits(max_pixels=SIDE * SIDE - 1))


def test_a_line_of_pixels_is_no_way_around_the_limit():
    content = io.BytesIO()
    Image.new("L", (1, 3_000_000)).save(content, "PNG")  # 768 Mpx once its rows are 256 px wide
    with pytest.raises(
        ImageError, match=r"1 x 3000000 px \(256 px wide after resizing\), more than the limit of 178,956,970"
    ):
        read_image(content.getvalue(), Preprocessing(), name="line.png")


def test_an_image_that_never_fits_is_refused():
    limits = DecodeLimits(max_bytes=10_600_000)
    with pytest.raises(ImageError, match=r"x\.png: decoding it needs 11 MB, more than the 11 MB for images"):
        read_image(content_of("png"), HOW, name="x.png", limits=limits)
    assert read_image(content_of("jpeg"), HOW, limits=limits).shape == (64, 64, 3)  # at a reduced size


def test_threads_wait_for_one_another():
    limits = DecodeLimits(max_bytes=100)
    held, most, lock = 0, 0, threading.Lock()

    def work(needed):
        nonlocal held, most
        with limits.memory(needed, "x"):
            with lock:
                held += needed
                most = max(most, held)
            time.sleep(0.001)
            with lock:
                held -= needed

    sizes = np.random.default_rng(0).integers(1, 101, 200).tolist()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sizes))
    assert max(sizes) <= most <= 100


def test_memory_is_given_back_after_a_failure():
    limits = DecodeLimits(max_bytes=20 << 20)
    for _ in range(3):
        with pytest.raises(ImageError, match="cannot be read"):
            read_image(content_of("png")[:5000], HOW, name="x.png", limits=limits)
    with limits.memory(20 << 20, "x"):
        pass


@pytest.mark.parametrize("compression", [DEFLATE, PACKBITS])
def test_a_tile_larger_than_its_image_is_reckoned_and_refused(compression):
    pixels = [[[0] * 3] * 16] * 16
    whole = Tiff(photometric=2, compression=compression, tile=16).encode(pixels)
    read_image(whole, HOW)
    tile = struct.pack("<HHII", 322, 4, 1, 16), struct.pack("<HHII", 322, 4, 1, 16 << 10)
    assert whole.count(tile[0]) == 1
    wide = whole.replace(*tile)
    with pytest.raises(ImageError, match=r"x\.tif: decoding it needs 1 MB, more than the 1 MB for images"):
        read_image(wide, HOW, name="x.tif", limits=DecodeLimits(max_bytes=1 << 20))
    with pytest.raises(
        ImageError, match=r"x\.tif: has a tile of 16384 x 16 px, more than the limit of 200,000 pixels\."
    ):
        read_image(wide, HOW, name="x.tif", limits=DecodeLimits(max_pixels=200_000))


def _with_scans(content, scans):
    """A JPEG whose last scan is repeated so many times."""
    start = content.rindex(b"\xff\xda")
    return content[:start] + content[start:-2] * scans + content[-2:]


def _one_component_a_scan():
    """A sequential gray JPEG whose header declares two more components, which have no scan."""
    content = bytearray(_jpeg("L"))
    frame = content.index(b"\xff\xc0")
    content[frame + 3], content[frame + 9] = content[frame + 3] + 6, 3
    content[frame + 13 : frame + 13] = b"\2\x11\0\3\x11\0"
    return bytes(content)


def _jpeg(mode, **options):
    content = io.BytesIO()
    Image.new(mode, (256, 256), "teal" if mode == "RGB" else 99).save(content, "JPEG", **options)
    return content.getvalue()


@pytest.mark.parametrize("content", [_jpeg("RGB", progressive=True), _one_component_a_scan()])
def test_a_jpeg_of_many_scans_is_refused(content):
    """Each scan takes as long as the whole image: 66 kB took 1.7 s."""
    first = content.count(b"\xff\xda")
    allowed = _with_scans(content, 101 - first)
    assert read_image(allowed, HOW).shape == (64, 64, 3)
    with pytest.raises(ImageError, match=r"^x\.jpg: the JPEG has 101 scans, more than the limit of 100\."):
        read_image(_with_scans(content, 102 - first), HOW, name="x.jpg")
