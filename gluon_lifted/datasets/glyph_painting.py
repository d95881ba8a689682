"""Paint an image of a character: rotated, tilted, colored and cluttered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SUPERSAMPLING = 2  # images are painted twice as large and downsampled
# Difficulty: with the recipe of `lifted demo`, a minute of training triples the recall of raw pixels.
PATCH = 12  # of 255, standard deviation of the background color over the image
INK, PAPER = (0, 65), (190, 255)  # of 255, lowest and highest brightness
CENTER, EXTENT = (0.4, 0.6), (0.55, 0.8)  # of the image's side: center and longer side of the character
TURN = math.radians(25)  # in either direction
STRETCH = 0.15  # at most: one side times exp(STRETCH), the other divided by it
TILT = 0.25  # change in scale across the image; below 0.5 all points are in front of the viewer
CLUTTER = (1, 3)  # number of objects behind a character, upper end excluded
BLUR, NOISE = (0.0, 0.8), (2.0, 8.0)  # px, and of 255: standard deviations

Color = tuple[int, int, int]


def paint_character(
    faces: Sequence[Image.Image], others: Sequence[Sequence[Image.Image]], size: int, rng: np.random.Generator
) -> Image.Image:
    """Paint an image of a character: background, clutter, the character, a stroke across it, blur, noise."""
    side = size * SUPERSAMPLING
    paper, ink = _color_of_brightness(PAPER, rng), _color_of_brightness(INK, rng)
    image = _paper(paper, side, rng)
    for _ in range(rng.integers(*CLUTTER)):
        _add_clutter(image, others, rng)
    mask = faces[rng.integers(len(faces))]
    _stamp(image, mask, ink, center=rng.uniform(*CENTER, 2) * side, longest=rng.uniform(*EXTENT) * side, rng=rng)
    _add_stroke(image, side // 48, rng)
    small = image.resize((size, size), Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(rng.uniform(*BLUR)))
    noise = rng.normal(0, rng.uniform(*NOISE), (size, size, 3))
    return Image.fromarray(np.clip(np.asarray(small) + noise, 0, 255).astype(np.uint8))


def _color_of_brightness(bounds: tuple[int, int], rng: np.random.Generator) -> Color:
    while True:
        color = _color(rng)
        if bounds[0] <= _luma(color) <= bounds[1]:
            return color


def _color(rng: np.random.Generator) -> Color:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def _luma(color: Color) -> float:
    red, green, blue = color
    return 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601


def _paper(color: Color, side: int, rng: np.random.Generator) -> Image.Image:
    """Paint a background of nine soft patches around a color."""
    patches = np.clip(np.array(color) + rng.normal(0, PATCH, (3, 3, 3)), 0, 255).astype(np.uint8)
    return Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC)


def _add_clutter(image: Image.Image, others: Sequence[Sequence[Image.Image]], rng: np.random.Generator) -> None:
    """Add a stroke, a blob, or another character that reaches in from outside."""
    side = image.width
    kind = rng.integers(3)
    if kind == 0:
        _add_stroke(image, int(rng.integers(side // 32, side // 12)), rng)
    elif kind == 1 or not others:
        (x, y), (width, height) = rng.uniform(0, side, 2), rng.uniform(side / 16, side / 4, 2)
        box = (float(x - width), float(y - height), float(x + width), float(y + height))
        ImageDraw.Draw(image).ellipse(box, fill=_color(rng))
    else:
        faces = others[rng.integers(len(others))]
        angle = rng.uniform(0, 2 * math.pi)
        center = (0.5 + 0.55 * np.array([math.cos(angle), math.sin(angle)])) * side
        longest = rng.uniform(0.3, 0.6) * side
        _stamp(image, faces[rng.integers(len(faces))], _color(rng), center=center, longest=longest, rng=rng)


def _add_stroke(image: Image.Image, width: int, rng: np.random.Generator) -> None:
    ends = rng.uniform(-0.1, 1.1, 4) * image.width
    ImageDraw.Draw(image).line(ends.tolist(), fill=_color(rng), width=max(1, width))


def _stamp(
    image: Image.Image,
    mask: Image.Image,
    color: Color,
    *,
    center: NDArray[np.float64],
    longest: float,
    rng: np.random.Generator,
) -> None:
    """Paint a mask at ``center``, its longer side about ``longest`` px, rotated, stretched and tilted at random."""
    angle, stretch = rng.uniform(-TURN, TURN), math.exp(rng.uniform(-STRETCH, STRETCH))
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    matrix = rotation * [[stretch], [1 / stretch]] * (max(mask.size) / longest)
    tilt = rng.uniform(-TILT, TILT, 2) / image.width
    view = _coefficients(matrix, tilt, center, np.array(mask.size) / 2)
    layer = mask.transform(image.size, Image.Transform.PERSPECTIVE, view, Image.Resampling.BILINEAR)
    image.paste(color, (0, 0), layer)


def _coefficients(
    matrix: NDArray[np.float64],
    tilt: NDArray[np.float64],
    center: NDArray[np.float64],
    middle: NDArray[np.float64],
) -> tuple[float, ...]:
    """Compute Pillow's eight coefficients (a ... h) of a perspective view, from image (x, y) to mask (u, v).

    Notes
    -----
    With p = (x, y) - center, (u, v) = middle + matrix p / (1 + tilt . p). Over the common denominator, divided
    by its constant, this is u = (a x + b y + c) / (g x + h y + 1), v = (d x + e y + f) / (g x + h y + 1).
    """
    top = matrix + np.outer(middle, tilt)
    rows = np.column_stack([top, middle - top @ center])  # a b c / d e f
    return tuple((np.append(rows, tilt) / (1 - tilt @ center)).tolist())
