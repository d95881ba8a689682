import numpy as np
import pytest
from PIL import Image

from gluon_lifted.errors import ImageError
from gluon_lifted.metrics.baselines import pixel_thumbnails


def test_rows_are_the_pixels_in_the_order_of_the_files(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for picture, path in zip(pictures, paths, strict=True):
        Image.fromarray(picture).save(path)
    for threads in (1, 4, None):
        rows = pixel_thumbnails(paths, threads)
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, pictures.reshape(5, 768))


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png"):
        pixel_thumbnails([tmp_path / "none.png"])


def test_no_files():
    assert pixel_thumbnails([]).shape == (0, 768)


def test_a_box_is_cut_out_and_progress_is_reported(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    done = []
    rows = pixel_thumbnails([tmp_path / "a.png"] * 2, 1, [(10.0, 20.0, 26.0, 36.0), None], done.append)
    np.testing.assert_array_equal(rows[0], picture[20:36, 10:26].ravel())
    assert (rows[1] != rows[0]).any()
    assert done == [1, 2]
