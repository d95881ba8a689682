import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Eight classes of six 60 x 52 px images; a class is a color, with noise and a random block over it."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, color in enumerate(rng.integers(40, 215, (8, 3))):
        folder = root / f"class {label}"
        folder.mkdir()
        for index in range(6):
            pixels = np.clip(color + rng.normal(0, 25, (52, 60, 3)), 0, 255).astype(np.uint8)
            top, left = rng.integers(30, size=2)
            pixels[top : top + 15, left : left + 15] = rng.integers(0, 255, 3)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    return root
