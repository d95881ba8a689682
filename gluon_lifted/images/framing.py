"""Select the used part of an image and resize it to a square.

A box is ``(left, top, right, bottom)`` in pixels of the upright original. It gives edges, not pixel centers: a whole
image of 640 x 480 px is ``(0, 0, 640, 480)``.
"""

from __future__ import annotations

import math

from PIL import Image

Box = tuple[float, float, float, float]

# The authors' object crop for Stanford Online Products (``load_cropped_images.m`` of their training code):
BACKGROUND_GRAY = 250  # a pixel this light or lighter is background
TRIM_MARGIN = 15  # pixels kept around the object
BOX_SLACK = 1  # pixels that a box may exceed the image: annotators count from 0 or 1, and round

EXIF_ORIENTATION = 0x0112
KERNELS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}  # one per `INTERPOLATIONS`
QUARTER_TURNS = (5, 6, 7, 8)  # orientations that swap width and height (CIPA DC-008)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height in pixels after EXIF rotation. Decodes nothing if the image is a JPEG."""
    # Pillow rotates TIFF itself and reports the size after rotation.
    turned = image.format != "TIFF" and image.getexif().get(EXIF_ORIENTATION) in QUARTER_TURNS
    return (image.height, image.width) if turned else image.size


def box_problem(box: Box, size: tuple[int, int]) -> str | None:
    """Explain why a box does not fit into an upright image of ``size`` (width, height); None if it fits."""
    left, top, right, bottom = box
    width, height = size
    inside = (
        -BOX_SLACK <= left < min(right, width)
        and -BOX_SLACK <= top < min(bottom, height)
        and 0 < right <= width + BOX_SLACK
        and 0 < bottom <= height + BOX_SLACK
    )  # False if a number is NaN
    if inside:
        return None
    return (
        f"its bounding box ({left:g}, {top:g}, {right:g}, {bottom:g}) exceeds its {width} x {height} px. "
        "If the images are cropped already, leave out --use-boxes."
    )


def crop_to_box(image: Image.Image, box: Box) -> Image.Image:
    """Cut out a box, expanded to whole pixels."""
    left, top, right, bottom = box
    return image.crop(
        (
            max(math.floor(left), 0),
            max(math.floor(top), 0),
            min(math.ceil(right), image.width),
            min(math.ceil(bottom), image.height),
        )
    )


def trim_background(image: Image.Image) -> Image.Image:
    """Cut an RGB image to the part darker than its white background, plus a margin. An all-white image stays whole."""
    darker = image.convert("L").point([255] * BACKGROUND_GRAY + [0] * (256 - BACKGROUND_GRAY))
    box = darker.getbbox()
    if box is None:
        return image
    left, top, right, bottom = box
    return image.crop(
        (
            max(left - TRIM_MARGIN, 0),
            max(top - TRIM_MARGIN, 0),
            min(right + TRIM_MARGIN, image.width),
            min(bottom + TRIM_MARGIN, image.height),
        )
    )


def fit_square(image: Image.Image, side: int, fit: str, interpolation: str) -> Image.Image:
    """Resize to ``side`` x ``side`` px: stretched; or with the aspect ratio kept, and padded in white or cropped."""
    kernel = KERNELS[interpolation]
    if fit == "stretch":
        return image.resize((side, side), kernel)
    if fit == "cover":
        return image.resize((side, side), kernel, box=_central_box(image.size, side))
    longer = max(image.size)
    width, height = (max(round(length * side / longer), 1) for length in image.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image.resize((width, height), kernel), ((side - width) // 2, (side - height) // 2))
    return square


def _central_box(size: tuple[int, int], side: int) -> Box:
    """Return the part of an image that becomes the central ``side`` x ``side`` px once its shorter side is ``side``.

    Sizes and offsets are rounded down, as `mx.image.resize_short` and `mx.image.center_crop` do.
    """
    shorter = min(size)
    resized = [length * side // shorter for length in size]  # width, height
    scale = [length / new for length, new in zip(size, resized, strict=True)]
    first = [(new - side) // 2 for new in resized]
    left, top = (start * factor for start, factor in zip(first, scale, strict=True))
    right, bottom = (
        min((start + side) * factor, length) for start, factor, length in zip(first, scale, size, strict=True)
    )
    return left, top, right, bottom
