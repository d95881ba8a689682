"""Random crops of training images."""

import numpy as np

from gluon_lifted.images import random_crop_mirror
from gluon_lifted.images.augmentations import random_resized_crop_mirror


def test_random_crops_cover_all_offsets_and_mirror_half_of_them():
    image = np.zeros((6, 5, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(6)[:, None], np.arange(5)
    rng = np.random.default_rng(0)
    cuts = [random_crop_mirror(image, 4, rng) for _ in range(2000)]
    assert {cut.shape for cut in cuts} == {(4, 4, 3)}
    mirrored = [cut for cut in cuts if cut[0, 0, 1] > cut[0, -1, 1]]
    assert 0.45 < len(mirrored) / len(cuts) < 0.55
    assert {(int(cut[0, 0, 0]), int(cut[..., 1].min())) for cut in cuts} == {(y, x) for y in (0, 1, 2) for x in (0, 1)}
    assert all((np.diff(cut[:, 0, 0]) == 1).all() for cut in cuts)


def position_image(height, width):
    """Return an image whose red is the row and whose green is the column, in steps of 2."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0], image[..., 1] = 2 * np.arange(height)[:, None], 2 * np.arange(width)
    return image


def test_resized_crops_keep_a_fifth_of_the_area_or_more_in_any_position_and_shape():
    image, rng = position_image(100, 100), np.random.default_rng(0)
    cuts = [random_resized_crop_mirror(image, 10, rng) for _ in range(2000)]
    assert {cut.shape for cut in cuts} == {(10, 10, 3)}
    assert 0.45 < np.mean([cut[0, 0, 1] > cut[0, -1, 1] for cut in cuts]) < 0.55
    # A crop's side spans its outer pixels' difference and a tenth more
    height, width = (
        np.array([np.ptp(cut[..., channel].astype(float)) for cut in cuts]) / 2 / 0.9 for channel in (0, 1)
    )
    area, aspect = height * width / 100**2, width / height
    assert 0.17 < area.min() < 0.24
    assert area.max() > 0.95
    assert 0.5 < area.mean() < 0.65
    assert 0.72 < aspect.min() < 0.8
    assert 1.25 < aspect.max() < 1.39
    top = np.array([cut[0, 0, 0] for cut in cuts]) / 2
    left = np.array([cut[0, :, 1].min() for cut in cuts]) / 2
    assert min(top.max(), left.max()) > 45  # near what the smallest crop allows
    assert abs(top.mean() - left.mean()) < 2


def test_a_resized_crop_is_the_part_of_the_image_that_it_shows():
    image = np.full((50, 50, 3), 77, np.uint8)
    assert (random_resized_crop_mirror(image, 32, np.random.default_rng(1)) == 77).all()
