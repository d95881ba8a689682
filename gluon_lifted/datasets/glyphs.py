"""A generated retrieval data set: characters in several typefaces, rotated, tilted, colored and cluttered.

Each class is a character, shown in eight typefaces of DejaVu, which Matplotlib ships. Training and test characters are
disjoint, so a model must learn what makes two images the same character.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.datasets.folder import load_folder
from gluon_lifted.datasets.glyph_characters import character_mask, distinct_characters, load_faces
from gluon_lifted.datasets.glyph_painting import paint_character
from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.files import temporary_folder

if TYPE_CHECKING:
    from pathlib import Path

    from gluon_lifted.datasets.image_table import Splits

MARKER = "glyphs.json"
MARKER_CHARACTERS = 4096  # read from a marker; markers are shorter
GENERATOR_VERSION = 1  # increase it when the same options would draw other pixels


@dataclass(frozen=True)
class GlyphOptions:
    """Size, seed and image format of a generated set.

    Parameters
    ----------
    train_classes, test_classes : int
        Number of characters in ``train/`` and ``test/``. No character is in both.
    images_per_class : int
        At least 2, so that every query has a positive.
    size : int
        Side of the square images in pixels, 16 to 512.
    seed : int
        Determines the split of the characters and all images.
    """

    train_classes: int = 240
    test_classes: int = 80
    images_per_class: int = 20
    size: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        if self.train_classes < 1 or self.test_classes < 1 or self.images_per_class < 2:
            raise ConfigError(
                f"train_classes, test_classes and images_per_class are {self.train_classes}, {self.test_classes} and "
                f"{self.images_per_class}; expected at least 1, 1 and 2."
            )
        if not 16 <= self.size <= 512:
            raise ConfigError(f"size is {self.size} px; expected 16 to 512.")


def generate_glyphs(root: Path, options: GlyphOptions = GlyphOptions()) -> None:
    """Write ``root/train/<class>/<nn>.png`` and ``root/test/<class>/<nn>.png`` unless they exist.

    Equal options give identical files (with equal versions of Pillow and Matplotlib). The set is drawn under a
    temporary name and renamed when complete. The file ``glyphs.json`` at its root records the options. An existing set
    with the same options is kept.

    Raises
    ------
    DataError
        If ``root`` contains anything else or cannot be written, or Matplotlib is not installed.
    ConfigError
        If more classes are requested than there are characters that look different.
    """
    root = root.resolve()
    try:
        if _is_complete(root, options):
            return
        with temporary_folder(root) as partial:
            _draw_set(partial, options)
            (partial / MARKER).write_text(_marker(options), encoding="utf-8")
            _move_into_place(partial, root, options)
    except OSError as error:
        raise DataError(f"{root}: the glyphs cannot be written ({error}).") from error


def _move_into_place(partial: Path, root: Path, options: GlyphOptions) -> None:
    try:
        partial.rename(root)
    except OSError:
        if not _is_complete(root, options):  # another process may have written it
            raise


def load_glyphs(root: Path) -> Splits:
    """Read a set of glyphs with any options. If there is none, generate the default set first."""
    if not (root / MARKER).is_file():
        generate_glyphs(root)
    return load_folder(root)


def _marker(options: GlyphOptions) -> str:
    return json.dumps({"generator_version": GENERATOR_VERSION, **asdict(options)}, indent=2) + "\n"


def _is_complete(root: Path, options: GlyphOptions) -> bool:
    """Check whether ``root`` contains this set. False if it is missing or an empty folder; otherwise raises."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    marker = root / MARKER
    text = None
    if marker.is_file():
        with marker.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MARKER_CHARACTERS)
    if text == _marker(options):
        return True
    content = "other files" if text is None else f"glyphs with other options ({' '.join(text.split()):.200})"
    raise DataError(f"{root}: contains {content}, so nothing was written. Choose another folder, or remove this one.")


def _draw_set(folder: Path, options: GlyphOptions) -> None:
    faces = load_faces()
    characters = distinct_characters(faces)
    order = np.random.default_rng(options.seed).permutation(len(characters))
    num_classes = options.train_classes + options.test_classes
    if num_classes > len(characters):
        raise ConfigError(
            f"train_classes and test_classes add up to {num_classes}; at most {len(characters)} characters look "
            "different."
        )
    masks = {i: [character_mask(characters[i], face) for face in faces] for i in order[:num_classes]}
    splits = {"train": order[: options.train_classes], "test": order[options.train_classes : num_classes]}
    for split, members in splits.items():
        for i in members:
            target = folder / split / class_name(characters[i])
            target.mkdir(parents=True)
            others = [masks[j] for j in members if j != i]
            for index in range(options.images_per_class):
                rng = np.random.default_rng([options.seed, ord(characters[i]), index])
                image = paint_character(masks[i], others, options.size, rng)
                image.save(target / f"{index:02d}.png", compress_level=1)


def class_name(character: str) -> str:
    """Return the folder name of a class.

    Examples
    --------
    >>> class_name("Ж")
    'U+0416_cyrillic-capital-letter-zhe'
    """
    name = unicodedata.name(character).lower().replace(" ", "-")
    return f"U+{ord(character):04X}_{name}"
