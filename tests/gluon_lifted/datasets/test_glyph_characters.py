from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("matplotlib")

from gluon_lifted.datasets.glyph_characters import FACES, distinct_characters, load_faces
from gluon_lifted.datasets.glyphs import GlyphOptions

pytestmark = pytest.mark.slow

UNASSIGNED = "\U0010fffe"  # a code point that no font has: drawn as .notdef
LOOK_ALIKES = ("AΑАᴀ", "BΒВ", "CcСсϹ", "HΗН", "Il|Ι∣", "KΚК", "OoΟОо○◯", "PpΡрР", "TΤТт", "XxΧХх", "/∕", "bd", "(⊂⊃")


def draw_plainly(character, font):
    """Draw at the top left of a page of 200 x 200 px, without the tested code."""
    page = Image.new("L", (200, 200))
    ImageDraw.Draw(page).text((60, 40), character, fill=255, font=font)
    return page


@pytest.fixture(scope="module")
def fonts():
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return [ImageFont.truetype(str(folder / f"{face}.ttf"), 64) for face in FACES]


@pytest.fixture(scope="module")
def characters():
    return distinct_characters(load_faces())


def test_there_are_enough_characters(characters):
    default = GlyphOptions()
    assert len(characters) >= default.train_classes + default.test_classes


def test_every_face_has_every_character(characters, fonts):
    for font in fonts:
        missing = draw_plainly(UNASSIGNED, font).tobytes()
        drawings = [draw_plainly(character, font).tobytes() for character in characters]
        assert [character for character, drawn in zip(characters, drawings, strict=True) if drawn == missing] == []
        assert len(set(drawings)) == len(drawings)


def test_of_look_alikes_one_stays(characters):
    for group in LOOK_ALIKES:
        assert sum(character in characters for character in group) <= 1, group


def test_no_two_drawings_coincide(characters, fonts):
    """Another measure than the tested one: shared ink over all ink, in 20 x 20 squares."""
    for font in fonts:
        squares = []
        for character in characters:
            page = draw_plainly(character, font)
            ink = page.crop(page.getbbox())
            side = max(ink.size)
            square = Image.new("L", (side, side))
            square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
            squares.append(np.asarray(square.resize((20, 20), Image.Resampling.BOX), float) / 255)
        for index, other in combinations(range(len(squares)), 2):
            a, b = squares[index], squares[other]
            shared = np.minimum(a, b).sum() / np.maximum(a, b).sum()
            assert shared < 0.9, characters[index] + characters[other]
