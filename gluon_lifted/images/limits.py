"""Limits of decoding: pixels of an image, and memory of all images that are decoded at the same time."""

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
MAX_SCANS = 100  # of a JPEG; encoders write about ten, and decoding each takes as long as a whole image
START_OF_SCAN, BLOCK_BYTES = b"\xff\xda", 1 << 20
MAX_PIXELS = 178_956_970  # half a GiB as RGB; Pillow's own limit for decompression bombs

# Pillow stores 4 bytes per pixel, or 1 for gray and palettes. Peak bytes per pixel, measured by the test:
RGB_BYTES = 5  # decoded
OTHER_BYTES = 9  # decoded, and converted to RGB
ALPHA_BYTES = 18  # decoded; three more images while compositing over white; rotating and cutting take less
TURNED_BYTES = 5  # one more image if it is not upright
CUT_BYTES = 6  # one more image, and a gray one to find the background
CANVAS_BYTES = {"WEBP": 24, "AVIF": 30, "HEIF": 30, "JXL": 36}  # including copies inside their libraries
STRIP_BYTES = 4  # at least, per pixel of a strip or tile, which libtiff decodes whole
PROGRESSIVE_BYTES = 6  # libjpeg holds all coefficients, 2 bytes each, at any scale


class DecodeLimits:
    """Limits that any number of threads share.

    Parameters
    ----------
    max_pixels : int
        Most pixels of an image, as stored.
    max_bytes : int, optional
        Memory for all images that are decoded at the same time. Threads wait until there is room. A single image that
        needs more is refused.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS, max_bytes: int | None = None) -> None:
        self.max_pixels, self.max_bytes = max_pixels, max_bytes
        self._taken = 0
        self._changed = threading.Condition()

    def check_pixels(self, image: Image.Image, resize: int, name: str) -> None:
        """Raise `ImageError` if an opened image has too many pixels, now or when its width is ``resize``.

        Pillow resizes rows before columns, so an image of 1 x 10,000,000 px becomes a very large one.
        """
        if max(image.width, resize) * image.height > self.max_pixels:
            widened = f" ({resize} px wide after resizing)" if image.width < resize else ""
            raise ImageError(
                f"{name}: has {image.width} x {image.height} px{widened}, more than the limit of {self.max_pixels:,} "
                "pixels."
            )
        width, height = _strip_size(image)
        if width * height > self.max_pixels:
            raise ImageError(
                f"{name}: has a tile of {width} x {height} px, more than the limit of {self.max_pixels:,} pixels."
            )

    @contextmanager
    def memory(self, needed: int, name: str) -> Iterator[None]:
        """Wait for ``needed`` bytes and hold them in the block. Raises `ImageError` if they exceed the limit."""
        most = math.inf if self.max_bytes is None else self.max_bytes
        if needed > most:
            raise ImageError(
                f"{name}: decoding it needs {needed / 1e6:,.0f} MB, more than the {most / 1e6:,.0f} MB for images. "
                "Raise --max-memory."
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
    """Raise `ImageError` if an opened JPEG has too many scans: ten bytes can be a scan of the whole image."""
    if isinstance(image, JpegImageFile) and not _has_one_scan(image):
        scans = _count_scans(image)
        if scans > MAX_SCANS:
            raise ImageError(
                f"{name}: the JPEG has {scans:,} scans, more than the limit of {MAX_SCANS:,}. Save it again."
            )


def decoding_bytes(image: Image.Image, stored_pixels: int, resize: int, *, cut: bool = False) -> int:
    """Estimate the peak memory of decoding an image and resizing it to a square; a little above the true value.

    Parameters
    ----------
    image : Image
        Opened, not decoded. Its size is the size that it will be decoded at.
    stored_pixels : int
        Pixels of the image in the file, before JPEG scaling.
    resize : int
        Side of the square in pixels.
    cut : bool
        Whether a part of the image is cut out.
    """
    widened = 4 * resize * image.height
    if image.format in CANVAS_BYTES:
        return CANVAS_BYTES[image.format] * image.width * image.height + widened
    coefficients = PROGRESSIVE_BYTES * stored_pixels if image.info.get("progressive") else 0
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        per_pixel = ALPHA_BYTES
    else:
        per_pixel = RGB_BYTES if image.mode == "RGB" else OTHER_BYTES
        per_pixel += TURNED_BYTES * _may_turn(image) + CUT_BYTES * cut
    return per_pixel * image.width * image.height + coefficients + _strip_bytes(image) + widened


def _has_one_scan(image: JpegImageFile) -> bool:
    """Check whether libjpeg stops after the first scan: its header, where Pillow has stopped, lists all components."""
    file = cast("BinaryIO", image.fp)
    length = 6 + 2 * image.layers
    end = file.tell()
    file.seek(max(0, end - length))
    header = file.read(length)
    return not image.info.get("progressive") and header[:3] == bytes([0, length, image.layers])


def _count_scans(image: JpegImageFile) -> int:
    """Count the scan markers. Within scan data a byte 255 is followed by 0 or 208 to 215."""
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
    """Return width and height of a strip or tile of a compressed TIFF, (0, 0) for other images.

    Strips and tiles are decoded whole. The header may declare them far larger than the image.
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
    """Check whether EXIF data may rotate the image. In a PNG they can follow the pixels."""
    if image.format == "JPEG":
        return bool(image.getexif().get(EXIF_ORIENTATION, 1) != 1)
    return image.format not in ("GIF", "BMP")
