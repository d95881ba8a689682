import numpy as np
import pytest

from gluon_lifted.samplers import BalancedSampler

LABELS = np.repeat(np.arange(10), [5, 6, 7, 8, 9, 10, 2, 3, 4, 5])[np.random.default_rng(0).permutation(59)]


def test_p_classes_with_k_images_each():
    sampler = BalancedSampler(LABELS, num_classes=4, num_images=3, seed=0)
    for iteration in range(20):
        rows = sampler.batch(iteration)
        classes, counts = np.unique(LABELS[rows], return_counts=True)
        assert len(classes) == 4
        assert set(counts) == {3}
        for one in classes:
            distinct = len(set(rows[LABELS[rows] == one]))
            assert distinct == min(3, np.count_nonzero(one == LABELS))


def test_every_class_comes_up_once_an_epoch():
    sampler = BalancedSampler(LABELS, num_classes=5, num_images=2, seed=3)
    for epoch in range(3):
        seen = np.concatenate([np.unique(LABELS[sampler.batch(2 * epoch + part)]) for part in (0, 1)])
        assert sorted(seen) == list(range(10))


def test_every_image_is_drawn_in_the_long_run():
    sampler = BalancedSampler(LABELS, num_classes=5, num_images=2, seed=0)
    assert set(np.concatenate([sampler.batch(i) for i in range(200)])) == set(range(len(LABELS)))


def test_same_seed_same_batches_in_any_order():
    one, two = (BalancedSampler(LABELS, 4, 3, seed=5) for _ in range(2))
    forwards = [one.batch(i) for i in range(8)]
    backwards = [two.batch(i) for i in reversed(range(8))][::-1]
    np.testing.assert_array_equal(forwards, backwards)
    assert not np.array_equal(forwards[0], BalancedSampler(LABELS, 4, 3, seed=6).batch(0))


@pytest.mark.parametrize("num_classes", [10, 11, 100])
def test_fewer_classes_than_asked_for(num_classes):
    rows = BalancedSampler(LABELS, num_classes, 2, seed=0).batch(0)
    assert len(np.unique(LABELS[rows])) == 10
