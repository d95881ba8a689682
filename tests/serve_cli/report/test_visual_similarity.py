from PIL import Image

from serve_cli.report.suspects import (
    Pair,
    Suspects,
)
from serve_cli.report.visual_similarity import SHOWN, compare_pictures, gray_difference
from tests.serve_cli.photos import pixels


def test_pairs_whose_pictures_look_the_same_come_first():
    def picture(seed):
        return Image.fromarray(pixels(seed))

    pairs = tuple(Pair(2 * number, 2 * number + 1, 0.0) for number in range(SHOWN + 5))
    pictures = {row: picture(row) for pair in pairs[:-1] for row in pair[:2]}
    pictures[7] = picture(6).resize((30, 22))  # one saved smaller
    shown = compare_pictures(Suspects(pairs, (), len(pairs), 0, 0.1, 100), pictures).duplicates
    assert len(shown) == SHOWN
    assert shown[0] == Pair(6, 7, 0.0, alike=True)
    assert [pair.first for pair in shown[1:4]] == [0, 2, 4]
    assert not any(pair.alike for pair in shown[1:])


def test_gray_difference_of_flat_pictures():
    black, gray = (Image.new("RGB", (40, 30), (level,) * 3) for level in (0, 100))
    assert gray_difference(black, gray) == 100
    assert gray_difference(gray, gray.resize((9, 50))) == 0
