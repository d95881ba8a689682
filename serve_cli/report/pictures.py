"""Encode pictures for the page: single thumbnails, and one sheet of all images on the map."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EMPTY = (128, 128, 128)  # fills the sheet between pictures


class Detail(NamedTuple):
    """Size of the pictures in pixels per side, WebP's quality, and the share of the map's images that are shown."""

    thumbnail_side: int
    thumbnail_quality: int
    map_side: int
    map_quality: int
    map_share: float


# Tried in this order until the page is small enough
DETAILS = (
    Detail(128, 80, 96, 75, 1),
    Detail(112, 75, 80, 70, 1),
    Detail(96, 70, 64, 65, 1),
    Detail(80, 65, 48, 60, 1),
    Detail(64, 60, 48, 50, 0.5),
    Detail(48, 50, 40, 45, 0.25),
    Detail(32, 40, 32, 40, 0.1),
)


class Thumbnail(NamedTuple):
    """One picture as a data URI, and its size in pixels."""

    uri: str
    width: int
    height: int


class Cell(NamedTuple):
    """Position and size of a picture in a sheet, in pixels; all 0 without a picture."""

    left: int
    top: int
    width: int
    height: int


class Sheet(NamedTuple):
    """Many pictures in one image, as a data URI, and the cell of each."""

    uri: str
    cells: tuple[Cell, ...]


def make_thumbnails(pictures: Mapping[int, Image.Image], side: int, quality: int) -> dict[int, Thumbnail]:
    """Encode a thumbnail of each picture, at most ``side`` px wide and high."""
    thumbnails = {}
    for row, picture in pictures.items():
        small = _within(picture, side)
        thumbnails[row] = Thumbnail(_data_uri(small, quality), *small.size)
    return thumbnails


def make_sheet(pictures: Sequence[Image.Image | None], side: int, quality: int) -> Sheet:
    """Encode all pictures in one roughly square image, each in a cell of ``side`` px."""
    present = [number for number, picture in enumerate(pictures) if picture is not None]
    columns = max(1, math.ceil(math.sqrt(len(present))))
    sheet = Image.new("RGB", (columns * side, max(1, math.ceil(len(present) / columns)) * side), EMPTY)
    cells = [Cell(0, 0, 0, 0)] * len(pictures)
    for position, number in enumerate(present):
        picture = pictures[number]
        assert picture is not None
        small = _within(picture, side)
        left, top = position % columns * side, position // columns * side
        sheet.paste(small, (left, top))
        cells[number] = Cell(left, top, *small.size)
    return Sheet(_data_uri(sheet, quality), tuple(cells))


def _within(picture: Image.Image, side: int) -> Image.Image:
    longer = max(picture.size)
    if longer <= side:
        return picture
    width, height = (max(1, round(length * side / longer)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _data_uri(picture: Image.Image, quality: int) -> str:
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()
