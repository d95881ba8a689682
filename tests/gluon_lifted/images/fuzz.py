"""Read damaged image files in a loop: `python -m tests.gluon_lifted.images.fuzz --minutes 10 [--seed 0]`.

Files of every format that Pillow decodes by itself are damaged at random: bytes changed, cut out, doubled. Each must
end in pixels or in an `ImageError`, within seconds and within the memory that decoding may take. Anything else is
printed with its seed, and the exit status is 1. libtiff prints to stderr by itself.
"""

from __future__ import annotations

import io
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gluon_lifted.errors import ImageError
from gluon_lifted.images import (
    DecodeLimits,
    Preprocessing,
    check_image,
    read_image,
)
from tests.fuzzing import damaged_bytes, fuzz
from tests.gluon_lifted.images import bmp_writer as bmp
from tests.gluon_lifted.images.peaks import peak_bytes
from tests.gluon_lifted.images.png_writer import (
    GRAY,
    PALETTE,
    RGBA,
    Png,
)
from tests.gluon_lifted.images.tiff_writer import DEFLATE, PACKBITS, Tiff

if TYPE_CHECKING:
    import random

SIDE = 24
WAYS = [Preprocessing(16, 16), Preprocessing(16, 16, fit="pad"), Preprocessing(16, 16, trim=True)]
BOXES = [None, None, None, (1.0, 2.0, 20.0, 17.0)]
MAX_BYTES, SLACK_BYTES = 256 << 20, 32 << 20


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def whole_files() -> list[bytes]:
    """A file for each path through a decoder."""
    rng = np.random.default_rng(0)
    color = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((SIDE, SIDE))
    alpha, exif = color.convert("RGBA"), Image.Exif()
    alpha.putalpha(100)
    exif[0x0112] = 6
    files = [saved(color, "JPEG", exif=exif), saved(color, "JPEG", progressive=True), saved(color.convert("L"), "JPEG")]
    files.append(saved(color.convert("CMYK"), "JPEG"))
    files += [saved(color, "WEBP"), saved(alpha, "WEBP", lossless=True), saved(color, "AVIF", exif=exif)]
    files += [
        saved(alpha, "AVIF"),
        saved(color, "PNG", exif=exif),
        saved(color.convert("P"), "GIF"),
        saved(color, "BMP"),
    ]
    for kind in ("GIF", "PNG", "WEBP", "AVIF"):
        files.append(saved(color, kind, save_all=True, append_images=[color.rotate(90)]))
    for way in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        files.append(saved(color, "TIFF", compression=way))
    files.append(saved(color.convert("1"), "TIFF", compression="group4"))
    gray = rng.integers(0, 256, (SIDE, SIDE, 1))
    pixels, table = gray.tolist(), tuple((level, 255 - level, 7) for level in range(256))
    files += [Png(GRAY, 16, transparent=(7,)).encode(pixels), Png(GRAY, 8, interlaced=True).encode(pixels)]
    files += [Png(PALETTE, 8, transparent=(0, 90), palette=table).encode(pixels)]
    files += [Png(RGBA, 16).encode((np.asarray(alpha, int) * 257).tolist())]
    files += [Tiff(bits=12).encode(pixels), Tiff(bits=16, photometric=0, compression=DEFLATE, tile=16).encode(pixels)]
    files += [Tiff(photometric=2, planar=2, compression=PACKBITS).encode(np.asarray(color, int).tolist())]
    files += [Tiff(photometric=3, colormap=tuple(range(768))).encode(pixels)]
    files += [bmp.Bmp(8, bmp.RLE8, table).encode(gray[..., 0].tolist())]
    files += [bmp.Bmp(16, bmp.BITFIELDS, masks=(0xF800, 0x7E0, 0x1F)).encode(gray[..., 0].tolist())]
    return files


WHOLE = whole_files()
FOLDER = tempfile.TemporaryDirectory()


def attempt(rng: random.Random) -> str:
    """Read a damaged file and return the outcome as a word."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # as the package does; the fuzzer makes them errors
    content, way, box = damaged_bytes(rng.choice(WHOLE), rng), rng.choice(WAYS), rng.choice(BOXES)
    path = Path(FOLDER.name, "damaged.jpg")
    path.write_bytes(content)
    problem = check_image(path, box)
    outcome = ""

    def read() -> None:
        nonlocal outcome
        try:
            assert read_image(content, way, box, limits=DecodeLimits(max_bytes=MAX_BYTES)).shape == (16, 16, 3)
        except ImageError:
            outcome = "refused"
        else:
            outcome = "read"

    taken = peak_bytes(read)
    assert taken < MAX_BYTES + SLACK_BYTES, f"{taken:,} bytes"
    assert outcome == "refused" or problem is None, problem
    return outcome


if __name__ == "__main__":
    sys.exit(fuzz(__doc__.splitlines()[0], attempt))
