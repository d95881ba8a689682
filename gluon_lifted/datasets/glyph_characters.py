"""The characters of the generated data set: typefaces, masks, and characters that look different."""

from __future__ import annotations

import math
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FACES = (
    "DejaVuSans",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono-Bold",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
)
CATEGORIES = ("Lu", "Ll", "Lo", "Nd", "Sm", "So", "Sc")  # letters, digits, symbols: unicodedata.category
BOX_DRAWING = range(0x2500, 0x25A0)  # lines and blocks, which look like clutter
EM = 64  # px, font size before characters are rotated and scaled
THUMBNAIL = 32  # px, side of the drawings that are compared
ALIKE = 0.85  # correlation of two drawings above which people confuse them: n and ո 0.86, E and F 0.83


def _face_files() -> list[Path]:
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise DataError(
            "Matplotlib is not installed, and glyphs are drawn with its fonts. Install it: `pip install matplotlib`"
        ) from None
    files = [Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf" for face in FACES]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: this font of Matplotlib is missing. Install Matplotlib again: "
            "`pip install --force-reinstall matplotlib`"
        )
    return files


def load_faces() -> list[ImageFont.FreeTypeFont]:
    """Load the typefaces of the glyphs. Raises `DataError` if Matplotlib or its fonts are missing."""
    # BASIC: the other layout engine is optional and may place outlines differently
    return [ImageFont.truetype(str(file), EM, layout_engine=ImageFont.Layout.BASIC) for file in _face_files()]


def distinct_characters(faces: Sequence[ImageFont.FreeTypeFont]) -> list[str]:
    """Find characters that exist in every face and look different from each other in all of them.

    Among characters that look alike (such as A and its Greek and Cyrillic namesakes), only the first in Unicode order
    is kept. Mirror images count as alike, because training mirrors images.
    """
    candidates = _characters_of_all(faces)
    alike = np.zeros((len(candidates), len(candidates)), bool)
    for face in faces:
        drawings = np.stack([_thumbnail(character_mask(character, face)) for character in candidates])  # (n, T, T)
        plain, mirrored = _standardize(drawings), _standardize(drawings[:, :, ::-1])
        alike |= np.maximum(plain @ plain.T, plain @ mirrored.T) >= ALIKE
    kept: list[int] = []
    for i in range(len(candidates)):
        if not alike[i, kept].any():
            kept.append(i)
    return [candidates[i] for i in kept]


def _characters_of_all(faces: Sequence[ImageFont.FreeTypeFont]) -> list[str]:
    from matplotlib.ft2font import FT2Font

    shared = set.intersection(*(set(FT2Font(str(face.path)).get_charmap()) for face in faces))
    characters = (chr(code) for code in sorted(shared) if code <= 0xFFFF and code not in BOX_DRAWING)
    return [
        character
        for character in characters
        if unicodedata.category(character) in CATEGORIES
        and not unicodedata.decomposition(character)  # no accents: tilted, A and À look alike
        and max(character_mask(character, faces[0]).size) >= EM // 3  # no dots
    ]


def character_mask(character: str, face: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw a character, cut to its bounds: mode L, 255 = ink."""
    left, top, right, bottom = face.getbbox(character)
    mask = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), character, fill=255, font=face)
    return mask.crop(mask.getbbox())  # Pillow's bounds include the space beside the character


def _thumbnail(mask: Image.Image) -> NDArray[np.float32]:
    """Scale, center and slightly blur a mask: float32 (THUMBNAIL, THUMBNAIL)."""
    scale = (THUMBNAIL - 4) / max(mask.size)
    width, height = (max(1, round(side * scale)) for side in mask.size)
    square = Image.new("L", (THUMBNAIL, THUMBNAIL))
    small = mask.resize((width, height), Image.Resampling.BILINEAR)
    square.paste(small, ((THUMBNAIL - width) // 2, (THUMBNAIL - height) // 2))
    return np.asarray(square.filter(ImageFilter.GaussianBlur(1)), np.float32)


def _standardize(drawings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalize (n, T, T) to rows (n, T * T) of mean 0 and norm 1: the product of two rows is their correlation."""
    rows = drawings.reshape(len(drawings), -1)
    rows = rows - rows.mean(1, keepdims=True)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
