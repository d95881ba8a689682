"""Image files for tests, the odd ones and the broken ones among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


def pixels(seed: int, width: int = 40, height: int = 30) -> np.ndarray:
    """A smooth color pattern, uint8 (height, width, 3): JPEG changes it little, turning it changes it much."""
    rng = np.random.default_rng(seed)
    corners = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    return np.asarray(corners.resize((width, height), Image.Resampling.BICUBIC))


def photo(path: Path, seed: int = 0, width: int = 40, height: int = 30) -> Path:
    """An ordinary image; the suffix decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed, width, height)).save(path)
    return path


def odd_photos(folder: Path) -> list[Path]:
    """Files that are unusual and readable."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, other = Image.fromarray(pixels(1)), Image.fromarray(pixels(2))
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: turn by 90 degrees to see it upright
    files = {
        "cmyk.jpg": (plain.convert("CMYK"), {}),
        "exif turned.jpg": (plain, {"exif": turned}),
        "gray.png": (plain.convert("L"), {}),
        "alpha.png": (plain.convert("RGBA"), {}),
        "palette.gif": (plain.convert("P"), {}),
        "16-bit.png": (Image.fromarray(pixels(1)[:, :, 0].astype(np.uint16) * 257), {}),
        "größe 写真.JPEG": (plain, {}),
        "16-bit.tif": (Image.fromarray(pixels(1)[:, :, 0].astype(np.uint16) * 257), {}),
        "moving.gif": (plain.convert("P"), {"save_all": True, "append_images": [other.convert("P")]}),
        "moving.webp": (plain, {"save_all": True, "append_images": [other], "lossless": True}),
        "really png.jpg": (plain, {"format": "PNG"}),
        "tiny.bmp": (plain.resize((1, 1)), {}),
    }
    for name, (image, options) in files.items():
        image.save(folder / name, **options)
    return sorted(folder / name for name in files)


def broken_photos(folder: Path) -> list[Path]:
    """Files with an image's suffix that cannot be read."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = photo(folder / "whole.jpg", seed=2, width=200, height=200)
    contents = {
        "empty.jpg": b"",
        "text.jpg": b"this is not a picture",
        "truncated.jpg": whole.read_bytes()[:600],
        "head only.png": b"\x89PNG\r\n\x1a\n",
    }
    whole.unlink()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "nowhere.jpg").symlink_to(folder / "gone.jpg")
    return sorted([*(folder / name for name in contents), folder / "nowhere.jpg"])
