from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.quantization import calibration as module
from export.quantization.calibration import calibration_images
from gluon_lifted.images import Preprocessing
from tests.serve_cli.photos import photo

if TYPE_CHECKING:
    from pathlib import Path

HOW = Preprocessing(resize=20, crop=16)


def test_images_come_from_all_classes_in_turn(tmp_path: Path) -> None:
    for number in range(30):
        photo(tmp_path / "many" / f"{number:02}.jpg", seed=number)
    for number in range(3):
        photo(tmp_path / "few" / f"{number}.jpg", seed=100 + number)
    paths = list(module._in_turn(tmp_path))
    assert [path.parent.name for path in paths[:8]] == ["few", "many"] * 3 + ["many"] * 2
    assert len(set(paths)) == 33
    numbers = sorted(int(path.stem) for path in paths if path.parent.name == "many")
    assert numbers == list(range(30))
    first = sorted(int(path.stem) for path in paths[:13] if path.parent.name == "many")
    assert max(np.diff(first)) <= 6  # not the first files in a row


def test_as_many_as_asked_for_and_always_the_same(tmp_path: Path) -> None:
    for number in range(20):
        photo(tmp_path / "a" / f"{number}.jpg", seed=number)
    images = calibration_images(tmp_path, HOW, 10)
    assert (images.shape, images.dtype) == ((10, 16, 16, 3), np.uint8)
    np.testing.assert_array_equal(images, calibration_images(tmp_path, HOW, 10))
    assert len(calibration_images(tmp_path, HOW)) == 20
