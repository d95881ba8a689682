"""Pictures as text inside the page: single tiles, and one sheet of all that the map shows."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EMPTY = (128, 128, 128)  # between the cells of a sheet


class Detail(NamedTuple):
    """How large and how good pictures are: pixels of a side, WebP's quality, and the share of the map's images."""

    tile_side: int
    tile_quality: int
    map_side: int
    map_quality: int
    map_share: float


# From the best on, until the page is small enough
DETAILS = (
    Detail(128, 80, 96, 75, 1),
    Detail(112, 75, 80, 70, 1),
    Detail(96, 70, 64, 65, 1),
    Detail(80, 65, 48, 60, 1),
    Detail(64, 60, 48, 50, 0.5),
    Detail(48, 50, 40, 45, 0.25),
    Detail(32, 40, 32, 40, 0.1),
)


class Tile(NamedTuple):
    """One picture as a data URI, and its size in pixels."""

    uri: str
    width: int
    height: int


class Cell(NamedTuple):
    """Where a picture lies in a sheet, in pixels; all 0 if there is none."""

    left: int
    top: int
    width: int
    height: int


class Sheet(NamedTuple):
    """Many pictures in one, as a data URI, and where each of them lies."""

    uri: str
    cells: tuple[Cell, ...]


def make_tiles(pictures: Mapping[int, Image.Image], side: int, quality: int) -> dict[int, Tile]:
    """A tile of each picture, at most ``side`` px wide and high."""
    tiles = {}
    for row, picture in pictures.items():
        small = _within(picture, side)
        tiles[row] = Tile(_data_uri(small, quality), *small.size)
    return tiles


def make_sheet(pictures: Sequence[Image.Image | None], side: int, quality: int) -> Sheet:
    """One picture of all, each in a cell of ``side`` px, in lines that make about a square."""
    there = [number for number, picture in enumerate(pictures) if picture is not None]
    columns = max(1, math.ceil(math.sqrt(len(there))))
    sheet = Image.new("RGB", (columns * side, max(1, math.ceil(len(there) / columns)) * side), EMPTY)
    cells = [Cell(0, 0, 0, 0)] * len(pictures)
    for place, number in enumerate(there):
        picture = pictures[number]
        assert picture is not None
        small = _within(picture, side)
        left, top = place % columns * side, place // columns * side
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
