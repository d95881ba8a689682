"""The cache against a plain model of a memory that it shares with others."""

import numpy as np

from gluon_lifted.batches import image_cache
from gluon_lifted.batches.image_cache import ImageCache, room_for_images

IMAGE = np.zeros(100, np.uint8)


def kept(cache, rows):
    return [row for row in rows if cache.get(row) is not None]


def test_images_are_kept_while_there_is_room():
    cache = ImageCache(lambda: 1000)
    image = np.arange(100, dtype=np.uint8)
    cache.add(3, image)
    assert cache.get(3) is image
    assert cache.get(2) is None


def test_two_caches_share_what_is_left_to_both(monkeypatch):
    """Memory is measured at every image here; an image that was kept takes it from both."""
    monkeypatch.setattr(image_cache, "STEP_BYTES", 100)
    caches: list[ImageCache] = []
    free = 750
    caches += [ImageCache(lambda: free - 100 * sum(len(kept(cache, range(20))) for cache in caches)) for _ in range(2)]
    for row in range(10):
        for cache in caches:
            cache.add(row, IMAGE)
    assert [kept(cache, range(20)) for cache in caches] == [[0, 1, 2, 3], [0, 1, 2]]


def test_memory_is_measured_once_a_step_and_not_after_it_was_short(monkeypatch):
    monkeypatch.setattr(image_cache, "STEP_BYTES", 300)
    answers = iter([1000, 250, 99])
    asked = []
    cache = ImageCache(lambda: asked.append(1) or next(answers))
    for row in range(9):
        cache.add(row, IMAGE)
    assert (kept(cache, range(9)), len(asked)) == ([0, 1, 2, 3, 4], 3)


def test_a_quarter_of_the_memory_stays_free(monkeypatch):
    monkeypatch.setattr(image_cache, "usable_memory", lambda: 16)
    monkeypatch.setattr(image_cache, "available_memory", lambda: 10)
    assert room_for_images() == 6
