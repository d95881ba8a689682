"""What decoding may take: pixels of an image, and memory of all images that are being decoded at once."""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from PIL.JpegImagePlugin import JpegImageFile

from gluon_lifted.errors import ImageError
from gluon_lifted.images.framing import EXIF_ORIENTATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image
    from PIL.TiffImagePlugin import TiffImageFile

IMAGE_WIDTH, IMAGE_LENGTH, BITS, ROWS_PER_STRIP, TILE_WIDTH, TILE_LENGTH = 256, 257, 258, 278, 322, 323  # TIFF 6.0
MAX_SCANS = 100  # of a JPEG; encoders write about ten, and each takes the time of the whole image
START_OF_SCAN, BLOCK_BYTES = b"\xff\xda", 1 << 20
MAX_PIXELS = 178_956_970  # half a GiB as RGB; where Pillow itself refuses a decompression bomb

# Pillow keeps 4 bytes a pixel, or 1 of gray and palettes. What is held at once, a pixel (the test measures it):
RGB_BYTES = 5  # decoded
OTHER_BYTES = 9  # decoded, and as RGB
ALPHA_BYTES = 18  # decoded; three more while transparency is laid over white; more than turning and cutting take
TURNED_BYTES = 5  # one more, where the image is not upright
CUT_BYTES = 6  # one more, and a gray one where the background is looked for
CANVAS_BYTES = {"WEBP": 24, "AVIF": 30, "HEIF": 30, "JXL": 36}  # their libraries' own copies beside that
STRIP_BYTES = 4  # libtiff decodes a strip or tile whole; at least as much for a pixel of it
PROGRESSIVE_BYTES = 6  # libjpeg holds all coefficients, 2 bytes each, whatever scale is decoded


class DecodeLimits:
    """Bounds that any number of threads keep together.

    Parameters
    ----------
    max_pixels : int
        Most pixels of an image as stored.
    max_bytes : int, optional
        Memory for all images that are decoded at once. Threads wait until there is room. An image that needs more
        alone is refused.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS, max_bytes: int | None = None) -> None:
        self.max_pixels, self.max_bytes = max_pixels, max_bytes
        self._taken = 0
        self._changed = threading.Condition()

    def check_pixels(self, image: Image.Image, resize: int, name: str) -> None:
        """Raise `ImageError` if an opened image has too many pixels, now or once it has the width ``resize``.

        Pillow resizes rows before columns, so that a picture of 1 x 10,000,000 px becomes a very large one.
        """
        if max(image.width, resize) * image.height > self.max_pixels:
            widened = f" ({resize} px wide)" if image.width < resize else ""
            raise ImageError(
                f"{name}: {image.width} x {image.height} px{widened} is more than the limit of {self.max_pixels:,}."
            )
        width, height = _strip_size(image)
        if width * height > self.max_pixels:
            raise ImageError(f"{name}: a tile of {width} x {height} px is more than the limit of {self.max_pixels:,}.")

    @contextmanager
    def memory(self, needed: int, name: str) -> Iterator[None]:
        """Wait until ``needed`` bytes are free, and hold them. Raises `ImageError` if they never will be."""
        most = math.inf if self.max_bytes is None else self.max_bytes
        if needed > most:
            raise ImageError(
                f"{name}: needs {needed / 1e6:,.0f} MB to be decoded, and images may take {most / 1e6:,.0f} MB; "
                "allow them more (--max-memory)."
            )
        with self._changed:
            self._changed.wait_for(lambda: self._taken + needed <= most)
            self._taken += needed
        try:
            yield
        finally:
            with self._changed:
                self._taken -= needed
                self._changed.notify_all()


def check_scans(image: Image.Image, name: str) -> None:
    """Raise `ImageError` if an opened JPEG has too many scans: ten bytes can be one of the whole image."""
    if isinstance(image, JpegImageFile) and not _has_one_scan(image):
        scans = _count_scans(image)
        if scans > MAX_SCANS:
            raise ImageError(f"{name}: a JPEG of {scans:,} scans is more than the limit of {MAX_SCANS:,}.")


def decoding_bytes(image: Image.Image, stored_pixels: int, resize: int, cut: bool = False) -> int:
    """The most memory that an opened image takes until it is a square of ``resize`` px; a little more than is so.

    Parameters
    ----------
    image : Image
        Opened, not decoded; its size is that which it will be decoded at.
    stored_pixels : int
        As the file has them.
    resize : int
        Pixels.
    cut : bool
        Whether a part of it is cut out.
    """
    widened = 4 * resize * image.height
    if image.format in CANVAS_BYTES:
        return CANVAS_BYTES[image.format] * image.width * image.height + widened
    coefficients = PROGRESSIVE_BYTES * stored_pixels if image.info.get("progressive") else 0
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        each = ALPHA_BYTES
    else:
        each = RGB_BYTES if image.mode == "RGB" else OTHER_BYTES
        each += TURNED_BYTES * _may_turn(image) + CUT_BYTES * cut
    return each * image.width * image.height + coefficients + _strip_bytes(image) + widened


def _has_one_scan(image: JpegImageFile) -> bool:
    """Whether libjpeg stops after the first scan, behind whose header Pillow has stopped: all components are in it."""
    file = cast("BinaryIO", image.fp)
    length = 6 + 2 * image.layers
    end = file.tell()
    file.seek(max(0, end - length))
    header = file.read(length)
    return not image.info.get("progressive") and header[:3] == bytes([0, length, image.layers])


def _count_scans(image: JpegImageFile) -> int:
    """Markers of scans; in what they hold, 255 is followed by 0 or 208 to 215."""
    file = cast("BinaryIO", image.fp)
    start = file.tell()
    file.seek(0)
    scans, last = 0, b""
    while block := file.read(BLOCK_BYTES):
        scans += (last + block).count(START_OF_SCAN)
        last = block[-1:]
    file.seek(start)
    return scans


def _strip_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of what is decoded at once: of a compressed TIFF a strip or a tile, which its header may say is
    far larger than the image; else nothing.
    """
    if image.format != "TIFF":
        return 0, 0
    image = cast("TiffImageFile", image)
    if image.tile[0][0] != "libtiff":
        return 0, 0
    width, height = image.tag_v2[IMAGE_WIDTH], image.tag_v2[IMAGE_LENGTH]
    rows = min(image.tag_v2.get(ROWS_PER_STRIP, height), height)
    return image.tag_v2.get(TILE_WIDTH, width), image.tag_v2.get(TILE_LENGTH, rows)


def _strip_bytes(image: Image.Image) -> int:
    width, height = _strip_size(image)
    if not width * height:
        return 0
    bits = sum(cast("TiffImageFile", image).tag_v2.get(BITS, (1,)))  # of all samples of a pixel
    return max(STRIP_BYTES, math.ceil(bits / 8)) * width * height


def _may_turn(image: Image.Image) -> bool:
    """Whether its EXIF data may say so; those of a PNG can come after its pixels."""
    if image.format == "JPEG":
        return bool(image.getexif().get(EXIF_ORIENTATION, 1) != 1)
    return image.format not in ("GIF", "BMP")
