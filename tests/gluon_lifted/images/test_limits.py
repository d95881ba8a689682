"""What decoding may take: pixels, and memory of all threads together."""

import ctypes
import io
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
from gluon_lifted.machine.memory import M_MMAP_THRESHOLD

SIDE = 1024
HOW = Preprocessing(resize=64, crop=64)
TRIMMED = Preprocessing(resize=64, crop=64, trim=True)
NEAR_BLACK = np.random.default_rng(0).integers(0, 200, (SIDE, SIDE, 3), np.uint8)


def encoded(kind, mode="RGB", **options):
    content = io.BytesIO()
    Image.fromarray(NEAR_BLACK).convert(mode).save(content, kind, **options)
    return content.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


KINDS = {
    "jpeg": encoded("JPEG"),
    "turned": encoded("JPEG", exif=turned()),
    "progressive": encoded("JPEG", progressive=True, subsampling=0),
    "cmyk": encoded("JPEG", "CMYK"),
    "cmyk, turned": encoded("JPEG", "CMYK", exif=turned()),
    "png": encoded("PNG"),
    "png, turned": encoded("PNG", exif=turned()),
    "rgba": encoded("PNG", "RGBA"),
    "rgba, turned": encoded("PNG", "RGBA", exif=turned()),
    "la": encoded("PNG", "LA"),
    "palette": encoded("PNG", "P"),
    "transparent colour": encoded("PNG", "P", transparency=3),
    "bits": encoded("PNG", "1"),
    "webp": encoded("WEBP"),
    "webp, rgba, turned": encoded("WEBP", "RGBA", exif=turned()),
    "gif": encoded("GIF", "P"),
    "tiff": encoded("TIFF", compression="tiff_deflate"),
    "bmp": encoded("BMP"),
}


def peak_bytes(work):
    """How far the resident memory of this process goes beyond what it is now."""
    status = Path("/proc/self/status")

    def found(name):
        return next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))

    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, 1 << 19)  # images go back to the system when they are freed
    libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = found("VmRSS")
    work()
    return found("VmHWM") - before


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="memory is looked at by glibc and Linux")
@pytest.mark.parametrize("how", [HOW, TRIMMED], ids=["whole", "trimmed"])
@pytest.mark.parametrize("content", KINDS.values(), ids=KINDS)
def test_an_image_takes_no_more_memory_than_is_reckoned(content, how):
    reckoned = []

    class Reckoned(DecodeLimits):
        def memory(self, needed, name):
            reckoned.append(needed)
            return super().memory(needed, name)

    read_image(content, how)  # what is loaded with the first one of its kind
    peak = peak_bytes(lambda: read_image(content, how, limits=Reckoned()))
    assert peak <= reckoned[0] + (1 << 20)


def test_progressive_jpeg_is_reckoned_by_its_stored_size():
    with Image.open(io.BytesIO(KINDS["progressive"])) as image:
        image.draft("RGB", (SIDE // 8, SIDE // 8))
        assert decoding_bytes(image, SIDE * SIDE, 64) > 6 * SIDE * SIDE


def test_pixel_limit_is_named():
    read_image(KINDS["jpeg"], HOW, limits=DecodeLimits(max_pixels=SIDE * SIDE))
    with pytest.raises(ImageError, match=r"^x\.jpg: 1024 x 1024 px is more than the limit of 1,048,575\.$"):
        read_image(KINDS["jpeg"], HOW, name="x.jpg", limits=DecodeLimits(max_pixels=SIDE * SIDE - 1))


def test_a_line_of_pixels_is_no_way_around_the_limit():
    content = io.BytesIO()
    Image.new("L", (1, 3_000_000)).save(content, "PNG")  # 768 Mpx once its rows are 256 px wide
    with pytest.raises(ImageError, match=r"1 x 3000000 px \(256 px wide\) is more than the limit of 178,956,970"):
        read_image(content.getvalue(), Preprocessing(), name="line.png")


def test_an_image_that_never_fits_is_refused():
    limits = DecodeLimits(max_bytes=10_600_000)
    with pytest.raises(ImageError, match=r"x\.png: needs 11 MB to be decoded, and images may take 11 MB"):
        read_image(KINDS["png"], HOW, name="x.png", limits=limits)
    assert read_image(KINDS["jpeg"], HOW, limits=limits).shape == (64, 64, 3)  # at a reduced size


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
            read_image(KINDS["png"][:5000], HOW, name="x.png", limits=limits)
    with limits.memory(20 << 20, "x"):
        pass
