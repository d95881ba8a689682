from dataclasses import replace

import numpy as np
import pytest

from gluon_lifted.batches.image_cache import ImageCache
from gluon_lifted.batches.loader import ImageLoader
from gluon_lifted.batches.samplers import BalancedSampler
from gluon_lifted.datasets import load_dataset
from gluon_lifted.errors import DataError, ImageError
from gluon_lifted.images import (
    Preprocessing,
    center_crop,
    normalize,
    random_crop_mirror,
    read_image,
)
from gluon_lifted.images.augmentations import random_resized_crop_mirror

SMALL = Preprocessing(resize=24, crop=20)


@pytest.fixture
def table(photos):
    return load_dataset("folder", photos).train


def test_test_batches_are_every_image_in_order(table):
    with ImageLoader(table, SMALL, threads=3) as loader:
        batches = list(loader.test_batches(7))
    assert [len(batch.labels) for batch in batches] == [7, 7, 7, 3]
    np.testing.assert_array_equal(np.concatenate([batch.labels for batch in batches]), table.labels)
    expected = np.stack([center_crop(read_image(path, SMALL), 20) for path in table.paths])
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), normalize(expected, SMALL))


def test_training_batches_follow_sampler_and_seed_not_threads(table):
    sampler = BalancedSampler(table.labels, 3, 2, seed=4)
    runs = []
    for threads in (1, 4):
        with ImageLoader(table, SMALL, threads) as loader:
            runs.append(list(loader.training_batches(sampler, 2, 6)))
    assert len(runs[0]) == 4
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first.images, second.images)
    rows = sampler.batch(3)
    crops = [
        random_crop_mirror(read_image(table.paths[row], SMALL), 20, np.random.default_rng([4, 3, slot]))
        for slot, row in enumerate(rows)
    ]
    np.testing.assert_array_equal(runs[0][1].images, normalize(np.stack(crops), SMALL))
    np.testing.assert_array_equal(runs[0][1].labels, table.labels[rows])


def test_the_augmentation_is_the_named_one(table):
    sampler = BalancedSampler(table.labels, 3, 2, seed=4)
    with ImageLoader(table, SMALL, threads=2, augment="standard") as loader:
        batch = next(loader.training_batches(sampler, 3, 4))
    squares = [read_image(table.paths[row], SMALL) for row in sampler.batch(3)]
    expected = [
        random_resized_crop_mirror(square, 20, np.random.default_rng([4, 3, slot]))
        for slot, square in enumerate(squares)
    ]
    np.testing.assert_array_equal(batch.images, normalize(np.stack(expected), SMALL))


def test_test_batches_can_be_of_chosen_rows(table):
    rows = np.array([5, 2, 9])
    with ImageLoader(table, SMALL, threads=2) as loader:
        batches = list(loader.test_batches(2, rows))
    np.testing.assert_array_equal(np.concatenate([batch.labels for batch in batches]), table.labels[rows])
    expected = np.stack([center_crop(read_image(table.paths[row], SMALL), 20) for row in rows])
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), normalize(expected, SMALL))


def test_an_image_is_decoded_once_while_memory_lasts(table, monkeypatch):
    from gluon_lifted.batches import loader as module

    reads = []
    monkeypatch.setattr(module, "read_image", lambda path, *how: reads.append(path) or read_image(path, *how))
    for room, expected in ((1 << 30, len(table)), (0, 2 * len(table))):
        reads.clear()
        monkeypatch.setattr(module, "ImageCache", lambda room=room: ImageCache(lambda: room))
        with ImageLoader(table, SMALL, threads=1) as loader:
            for _ in range(2):
                assert sum(len(batch.labels) for batch in loader.test_batches(8)) == len(table)
        assert len(reads) == expected


def test_unreadable_images_are_named(photos, tmp_path):
    import shutil

    root = tmp_path / "copy"
    shutil.copytree(photos, root)
    (root / "class 1" / "0.png").write_bytes(b"")
    (root / "class 2" / "3.png").write_text("not an image")
    table = load_dataset("folder", root).train
    with ImageLoader(table, SMALL, threads=2) as loader:
        with pytest.raises(DataError, match=r"class 1/0\.png: cannot be read .* \(2 of 24 images\)"):
            loader.check_readable()
        with pytest.raises(ImageError, match=r"0\.png"):
            list(loader.test_batches(8))


def test_boxes_are_cut_out_and_checked_beforehand(photos):
    table = load_dataset("folder", photos).train
    boxes = np.full((len(table), 4), np.nan, np.float32)
    boxes[3] = (5, 10, 45, 40)
    boxed = replace(table, boxes=boxes)
    with ImageLoader(boxed, SMALL, threads=2) as loader:
        loader.check_readable()
        (batch,) = loader.test_batches(len(table))
    squares = [read_image(path, SMALL, boxed.box(row)) for row, path in enumerate(table.paths)]
    assert (squares[3] != read_image(table.paths[3], SMALL)).any()
    np.testing.assert_array_equal(
        batch.images, normalize(np.stack([center_crop(square, 20) for square in squares]), SMALL)
    )
    boxes[4] = (5, 10, 400, 40)
    misfit = r"exceeds its 60 x 52 px\. .* 1 of 24 images have"
    with ImageLoader(boxed, SMALL, threads=2) as loader, pytest.raises(DataError, match=misfit):
        loader.check_readable()
