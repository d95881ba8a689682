"""Measure the peak memory of decoding next to the estimate, in a process with its own heap."""

import ctypes
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from gluon_lifted.hardware.memory import M_MMAP_THRESHOLD
from gluon_lifted.images import DecodeLimits, Preprocessing, read_image

LIBC = ctypes.CDLL(None)
if hasattr(LIBC, "mallopt"):  # at the start: freed images return to the system and leave no holes
    LIBC.mallopt(M_MMAP_THRESHOLD, 1 << 19)
SIDE = 1024
TRIES = 4  # if memory is scarce, library pages are evicted and counted again when they are reloaded
WAYS = {"whole": Preprocessing(resize=64, crop=64), "trimmed": Preprocessing(resize=64, crop=64, trim=True)}
NEAR_BLACK = np.random.default_rng(0).integers(0, 200, (SIDE, SIDE, 3), np.uint8)


NOISE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)  # incompressible
CLEAR = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 4), np.uint8)
DEEP = np.random.default_rng(0).integers(0, 1 << 16, (SIDE, SIDE), np.uint16)


def saved(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def encoded(kind, mode="RGB", **options):
    """Build on demand: encoding all kinds takes long and most tests need only one."""
    return lambda: saved(Image.fromarray(NEAR_BLACK).convert(mode), kind, **options)


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
    "transparent color": encoded("PNG", "P", transparency=3),
    "bits": encoded("PNG", "1"),
    "webp": encoded("WEBP"),
    "webp, rgba, turned": encoded("WEBP", "RGBA", exif=turned()),
    "gif": encoded("GIF", "P"),
    "tiff": encoded("TIFF", compression="tiff_deflate"),
    "tiff, one strip": encoded("TIFF", compression="tiff_deflate", strip_size=1 << 30),
    "tiff, random": lambda: saved(Image.fromarray(NOISE), "TIFF", compression="tiff_deflate", strip_size=1 << 30),
    "tiff, jpeg": encoded("TIFF", compression="jpeg", strip_size=1 << 30),
    "tiff, rgba": encoded("TIFF", "RGBA", compression="tiff_lzw", strip_size=1 << 30),
    "tiff, cmyk": encoded("TIFF", "CMYK", compression="tiff_lzw", strip_size=1 << 30),
    "tiff, 16-bit gray": lambda: saved(Image.fromarray(DEEP), "TIFF", compression="tiff_deflate", strip_size=1 << 30),
    "tiff, 16-bit gray, turned": lambda: saved(Image.fromarray(DEEP), "TIFF", exif=turned()),
    "tiff, ycbcr": encoded("TIFF", "YCbCr", compression="tiff_deflate", strip_size=1 << 30),
    "png, 16-bit gray": lambda: saved(Image.fromarray(DEEP), "PNG"),
    "png, transparent gray": encoded("PNG", "L", transparency=3),
    "bmp": encoded("BMP"),
    "avif": encoded("AVIF"),
    "avif, small": encoded("AVIF", quality=10),
    "avif, turned": encoded("AVIF", exif=turned()),
    "avif, 4:4:4": encoded("AVIF", subsampling="4:4:4", quality=100),
    "avif, rgba": lambda: saved(Image.fromarray(CLEAR), "AVIF", quality=100, subsampling="4:4:4"),
    "avif, animated": encoded("AVIF", save_all=True, append_images=[Image.fromarray(NEAR_BLACK[::-1])]),
    "webp, animated": encoded("WEBP", save_all=True, append_images=[Image.fromarray(NEAR_BLACK[::-1])]),
    "png, animated": encoded("PNG", save_all=True, append_images=[Image.fromarray(NEAR_BLACK[::-1])]),
}


def content_of(kind):
    return KINDS[kind]()


def peak_bytes(work):
    """Return how far the resident memory of this process exceeds its current value."""
    status = Path("/proc/self/status")

    def status_field(name):
        return next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))

    LIBC.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before = status_field("VmRSS")
    work()
    return status_field("VmHWM") - before


def measure(content, how):
    """Return peak bytes and estimated bytes."""
    reckoned = []

    class Reckoned(DecodeLimits):
        def memory(self, needed, name):
            reckoned.append(needed)
            return super().memory(needed, name)

    read_image(content, how)  # loads what the first image of a kind needs
    peaks = [peak_bytes(lambda: read_image(content, how, limits=Reckoned()))]
    while peaks[-1] > reckoned[0] and len(peaks) < TRIES:
        peaks.append(peak_bytes(lambda: read_image(content, how)))
    return min(peaks), reckoned[0]


def main():
    contents = {kind: content_of(kind) for kind in KINDS}
    measured = {f"{kind} {way}": measure(contents[kind], WAYS[way]) for kind in KINDS for way in WAYS}
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
