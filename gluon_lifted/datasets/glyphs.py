"""A generated retrieval data set: characters in several typefaces, rotated, tilted, colored and cluttered.

Each class is a character, shown in eight typefaces of DejaVu, which Matplotlib ships. Training and test characters are
disjoint, so a model must learn what makes two images the same character.
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from gluon_lifted.datasets.folder import load_folder
from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.files import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gluon_lifted.datasets.image_table import Splits

MARKER = "glyphs.json"
MARKER_CHARACTERS = 4096  # read from a marker; markers are shorter
GENERATOR_VERSION = 1  # increase it when the same options would draw other pixels
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
                f"{self.train_classes} training and {self.test_classes} test classes of {self.images_per_class} "
                "images are too few; at least 1, 1 and 2 are needed."
            )
        if not 16 <= self.size <= 512:
            raise ConfigError(f"size {self.size} px is outside 16 to 512.")


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
    raise DataError(f"{root} contains {content}; nothing was written. Choose another folder, or remove this one.")


def _draw_set(folder: Path, options: GlyphOptions) -> None:
    faces = load_faces()
    characters = distinct_characters(faces)
    order = np.random.default_rng(options.seed).permutation(len(characters))
    num_classes = options.train_classes + options.test_classes
    if num_classes > len(characters):
        raise ConfigError(f"{num_classes} classes are more than the {len(characters)} characters that look different.")
    masks = {i: [_mask(characters[i], face) for face in faces] for i in order[:num_classes]}
    splits = {"train": order[: options.train_classes], "test": order[options.train_classes : num_classes]}
    for split, members in splits.items():
        for i in members:
            target = folder / split / class_name(characters[i])
            target.mkdir(parents=True)
            others = [masks[j] for j in members if j != i]
            for index in range(options.images_per_class):
                rng = np.random.default_rng([options.seed, ord(characters[i]), index])
                image = _paint(masks[i], others, options.size, rng)
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


def _face_files() -> list[Path]:
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise DataError(
            "Matplotlib is not installed; the glyphs are drawn with its fonts: pip install matplotlib."
        ) from None
    files = [Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf" for face in FACES]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: no such font; Matplotlib's wheels contain it: pip install --force-reinstall matplotlib."
        )
    return files


def load_faces() -> list[ImageFont.FreeTypeFont]:
    """Load the typefaces of the glyphs. Raises `DataError` if Matplotlib or its fonts are missing."""
    # BASIC: the other layout engine is optional and may place outlines differently
    return [ImageFont.truetype(str(file), EM, layout_engine=ImageFont.Layout.BASIC) for file in _face_files()]


def distinct_characters(faces: Sequence[ImageFont.FreeTypeFont]) -> list[str]:
    """Find characters that exist in every face and look different from each other in all of them.

    Only the first in Unicode order is kept of characters that look alike (such as A and its Greek and Cyrillic
    namesakes). Mirror images count as alike, because training mirrors images.
    """
    candidates = _characters_of_all(faces)
    alike = np.zeros((len(candidates), len(candidates)), bool)
    for face in faces:
        drawings = np.stack([_thumbnail(_mask(character, face)) for character in candidates])  # (n, T, T)
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
        and max(_mask(character, faces[0]).size) >= EM // 3  # no dots
    ]


def _mask(character: str, face: ImageFont.FreeTypeFont) -> Image.Image:
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


def _paint(
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
