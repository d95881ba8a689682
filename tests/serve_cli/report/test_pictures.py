import base64
import io
import itertools

import numpy as np
from PIL import Image

from serve_cli.report.pictures import DETAILS, make_sheet, make_thumbnails
from tests.serve_cli.photos import (
    pixels,
)


def decoded(uri):
    start = "data:image/webp;base64,"
    assert uri.startswith(start)
    return Image.open(io.BytesIO(base64.b64decode(uri[len(start) :]))).convert("RGB")


def test_thumbnails_are_the_pictures_within_their_side():
    pictures = {7: Image.fromarray(pixels(1, 128, 80)), 9: Image.fromarray(pixels(2, 30, 20))}
    thumbnails = make_thumbnails(pictures, side=64, quality=80)
    assert (thumbnails[7].width, thumbnails[7].height) == (64, 40)
    assert (thumbnails[9].width, thumbnails[9].height) == (30, 20)  # none is made larger
    for row, (uri, width, height) in thumbnails.items():
        assert decoded(uri).size == (width, height)
        expected = pictures[row].resize((width, height), Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(decoded(uri), int) - np.asarray(expected, int)).mean() < 8


def test_each_picture_lies_in_its_cell_of_the_sheet():
    pictures = [None if number == 3 else Image.fromarray(pixels(number, 64, 40 + number)) for number in range(11)]
    sheet = make_sheet(pictures, side=48, quality=90)
    whole = decoded(sheet.uri)
    assert sheet.cells[3] == (0, 0, 0, 0)
    taken = set()
    for picture, cell in zip(pictures, sheet.cells, strict=True):
        if picture is None:
            continue
        taken.add((cell.left // 48, cell.top // 48))
        assert max(cell.width, cell.height) == 48
        shown = whole.crop((cell.left, cell.top, cell.left + cell.width, cell.top + cell.height))
        expected = picture.resize((cell.width, cell.height), Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(shown, int) - np.asarray(expected, int)).mean() < 8
    assert len(taken) == 10


def test_no_pictures_at_all():
    assert make_sheet([None, None], 32, 50).cells == ((0, 0, 0, 0), (0, 0, 0, 0))
    assert make_thumbnails({}, 32, 50) == {}


def test_each_detail_is_smaller_than_the_one_before():
    for better, worse in itertools.pairwise(DETAILS):
        assert all(low <= high for low, high in zip(worse, better, strict=True))
        assert worse < better
