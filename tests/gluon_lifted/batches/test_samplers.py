"""Samplers against plain loops, and the list of pairs against the statistics of the authors' files."""

import math
import random
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.batches.samplers import (
    BalancedSampler,
    PairSampler,
    ShuffleSampler,
    TripletSampler,
)
from gluon_lifted.errors import ConfigError, DataError
from tests.examples import examples

LABELS = np.repeat(np.arange(10), [5, 6, 7, 8, 9, 10, 2, 3, 4, 5])[np.random.default_rng(0).permutation(59)]


def test_p_classes_with_k_images_each():
    sampler = BalancedSampler(LABELS, num_classes=4, num_images=3, seed=0)
    for iteration in range(20):
        rows = sampler.batch(iteration)
        classes, counts = np.unique(LABELS[rows], return_counts=True)
        assert len(classes) == 4
        assert set(counts) == {3}
        for label in classes:
            distinct = len(set(rows[LABELS[rows] == label]))
            assert distinct == min(3, np.count_nonzero(label == LABELS))


def test_every_class_comes_up_once_an_epoch():
    sampler = BalancedSampler(LABELS, num_classes=5, num_images=2, seed=3)
    for epoch in range(3):
        seen = np.concatenate([np.unique(LABELS[sampler.batch(2 * epoch + part)]) for part in (0, 1)])
        assert sorted(seen) == list(range(10))


def test_every_image_is_drawn_in_the_long_run():
    sampler = BalancedSampler(LABELS, num_classes=5, num_images=2, seed=0)
    assert set(np.concatenate([sampler.batch(i) for i in range(200)])) == set(range(len(LABELS)))


def test_same_seed_same_batches_in_any_order():
    first, second = (BalancedSampler(LABELS, 4, 3, seed=5) for _ in range(2))
    forwards = [first.batch(i) for i in range(8)]
    backwards = [second.batch(i) for i in reversed(range(8))][::-1]
    np.testing.assert_array_equal(forwards, backwards)
    assert not np.array_equal(forwards[0], BalancedSampler(LABELS, 4, 3, seed=6).batch(0))


@pytest.mark.parametrize("num_classes", [10, 11, 100])
def test_fewer_classes_than_asked_for(num_classes):
    rows = BalancedSampler(LABELS, num_classes, 2, seed=0).batch(0)
    assert len(np.unique(LABELS[rows])) == 10


def pairs_by_loops(labels, half, seed):
    """The authors' list step by step; random choices are another generator's."""
    rng = random.Random(seed)
    members = {label: [row for row in range(len(labels)) if labels[row] == label] for label in sorted(set(labels))}
    positives = []
    for rows in members.values():
        for i in range(len(rows)):
            positives += [(rows[i], rows[j]) for j in range(i + 1, len(rows))]
            positives.append((rows[i], rows[i]))
    negs_per_image = math.ceil(len(positives) / len(labels))
    negatives = []
    for label, rows in members.items():
        others = [row for row in range(len(labels)) if labels[row] != label]
        chosen = rng.sample(others, min(negs_per_image * len(rows), len(others)))
        negatives += [(rows[position % len(rows)], other) for position, other in enumerate(chosen)]
    while (len(positives) + len(negatives)) % half:
        negatives.pop(rng.randrange(len(negatives)))
    pairs = positives + negatives
    rng.shuffle(pairs)
    return pairs


def listed_pairs(sampler):
    """Left and right image of every pair of the list, in order."""
    half = sampler.blocks.shape[1] // 2
    blocks = sampler.blocks.tolist()
    return [pair for block in blocks for pair in zip(block[:half], block[half:], strict=True)]


def split_pairs(pairs, labels):
    positives = Counter(pair for pair in pairs if labels[pair[0]] == labels[pair[1]])
    return positives, Counter(pair for pair in pairs if labels[pair[0]] != labels[pair[1]])


@examples(60, derandomize=True)
@given(st.lists(st.integers(2, 9), min_size=3, max_size=8), st.integers(1, 5), st.integers(0, 2**40))
def test_the_list_of_pairs_is_that_of_plain_loops(sizes, half, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    pairs = listed_pairs(PairSampler(labels, 2 * half, seed))
    positives, negatives = split_pairs(pairs, labels)
    expected = pairs_by_loops(labels.tolist(), half, seed)
    expected_positives, expected_negatives = split_pairs(expected, labels)
    assert positives == expected_positives
    assert len(pairs) == len(expected)
    assert negatives.total() == expected_negatives.total()
    negs_per_image = math.ceil(positives.total() / len(labels))
    dealt = Counter(left for left, _ in negatives.elements())
    for label, size in enumerate(sizes):
        drawn = [right for left, right in negatives.elements() if labels[left] == label]
        assert len(drawn) == len(set(drawn))  # a class draws an image once
        most = math.ceil(min(negs_per_image * size, len(labels) - size) / size)
        assert all(dealt[row] <= most for row in np.flatnonzero(labels == label))
    if all(negs_per_image * size <= len(labels) - size for size in sizes):
        assert sum(negs_per_image - dealt[row] for row in range(len(labels))) < half  # dropped


def statistics(labels, blocks):
    """Of the blocks: pairs of equal label, self pairs, classes; each a value a block."""
    half = blocks.shape[1] // 2
    counts = [np.unique(labels[block], return_counts=True)[1] for block in blocks]
    same = np.array([int((count * (count - 1) // 2).sum()) for count in counts])
    selves = np.count_nonzero(blocks[:, :half] == blocks[:, half:], axis=1)
    return same, selves, np.array([len(count) for count in counts])


class Simulated(NamedTuple):
    """Of the authors' scripts, with classes of equal size and B = 128; means are over batches."""

    num_positives: int  # self pairs and all
    self_share: float  # of the positive pairs
    negs_per_image: int
    num_batches: int  # of a pass
    same: float  # pairs of equal label in a batch
    least_same: int
    selves: float  # self pairs in a batch
    num_classes: float  # in a batch


CUB = np.repeat(np.arange(100), [59] * 64 + [58] * 36)  # 5,864 images
CARS = np.repeat(np.arange(98), [83] * 18 + [82] * 80)  # 8,054
SOP = np.repeat(np.arange(11_318), [4] * 2074 + [5] * 6283 + [6] * 924 + [7] * 2000 + [8] * 37)  # 59,551


@pytest.mark.parametrize(
    ("labels", "simulated", "tolerance"),
    [
        (CUB, Simulated(174_876, 0.034, 30, 5_481, 113, 81, 1.07, 62), 0.001),
        (CARS, Simulated(334_988, 0.024, 42, 10_519, 114, 82, 0.76, 62), 0.001),
        # mixed sizes: more positive pairs
        pytest.param(SOP, Simulated(187_500, 0.32, 4, 6_650, 29, 18, 9.1, 99), 0.04, marks=pytest.mark.slow),
    ],
    ids=["CUB-200-2011", "CARS196", "Stanford Online Products"],
)
def test_the_list_has_the_statistics_of_the_authors_files(labels, simulated, tolerance):
    blocks = PairSampler(labels, 128, seed=0).blocks
    left, right = blocks[:, :64], blocks[:, 64:]
    positive = labels[left] == labels[right]
    assert positive.sum() == pytest.approx(simulated.num_positives, rel=tolerance)
    assert np.count_nonzero(left == right) == len(labels)
    assert len(labels) / positive.sum() == pytest.approx(simulated.self_share, abs=0.0005, rel=tolerance)
    assert np.bincount(left[~positive]).max() == simulated.negs_per_image
    assert len(blocks) == pytest.approx(simulated.num_batches, rel=tolerance / 2)
    same, selves, num_classes = statistics(labels, blocks[:1000])
    assert same.mean() == pytest.approx(simulated.same, rel=0.03)
    # The least falls with the number of batches one looks at; it is that of about 200
    assert same.reshape(5, 200).min(axis=1).mean() == pytest.approx(simulated.least_same, rel=0.08)
    assert selves.mean() == pytest.approx(simulated.selves, rel=0.08)
    assert num_classes.mean() == pytest.approx(simulated.num_classes, rel=0.02)


def test_the_statistics_of_a_block_are_those_of_plain_loops():
    labels = np.repeat(np.arange(20), 12)
    blocks = PairSampler(labels, 32, seed=0).blocks
    expected = pairs_by_loops(labels.tolist(), 16, seed=0)
    expected = np.array(expected).reshape(-1, 16, 2).transpose(0, 2, 1).reshape(-1, 32)
    assert blocks.shape == expected.shape
    for measured, loops in zip(statistics(labels, blocks), statistics(labels, expected), strict=True):
        assert measured.mean() == pytest.approx(loops.mean(), rel=0.1)


def test_pairs_are_shuffled_over_the_whole_list():
    sampler = PairSampler(np.repeat(np.arange(20), 12), 32, seed=0)
    left, right = sampler.blocks[:, :16], sampler.blocks[:, 16:]
    positives = np.count_nonzero(left // 12 == right // 12, axis=1)  # of 16 pairs, on average 6.5 / 13.5 of them
    thirds = [part.mean() for part in np.array_split(positives, 3)]
    assert max(thirds) - min(thirds) < 1.5


def test_batches_of_pairs_go_round_the_list():
    sampler = PairSampler(LABELS, 16, seed=0)
    for iteration in (0, 3, len(sampler.blocks) - 1):
        np.testing.assert_array_equal(sampler.batch(iteration), sampler.blocks[iteration])
        np.testing.assert_array_equal(sampler.batch(iteration + 2 * len(sampler.blocks)), sampler.blocks[iteration])


def test_writing_into_a_batch_of_pairs_leaves_the_list_alone():
    sampler = PairSampler(LABELS, 16, seed=0)
    before = sampler.blocks.copy()
    sampler.batch(0)[:] = 0
    np.testing.assert_array_equal(sampler.blocks, before)


def test_fewer_other_images_than_negatives_asked_for():
    """8 + 2 images: 39 positive pairs, 4 negatives an image; 2 others for the large class, 8 for the small one."""
    labels = np.repeat([0, 1], [8, 2])
    positives, negatives = split_pairs(listed_pairs(PairSampler(labels, 2, seed=0)), labels)
    assert positives.total() == 39
    assert sorted(right for left, right in negatives.elements() if left < 8) == [8, 9]
    assert sorted(right for left, right in negatives.elements() if left >= 8) == list(range(8))
    assert sorted(Counter(left for left, _ in negatives.elements() if left >= 8).values()) == [4, 4]


def test_positive_pairs_are_dropped_where_negatives_do_not_suffice():
    labels = np.repeat([0, 1], [8, 2])  # 49 pairs, 10 of them negative
    pairs = listed_pairs(PairSampler(labels, 60, seed=0))
    positives, negatives = split_pairs(pairs, labels)
    assert (positives.total(), negatives.total()) == (30, 0)


@examples(60, derandomize=True)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=8), st.integers(1, 12), st.integers(0, 2**40))
def test_a_triplet_is_an_anchor_another_image_of_its_class_and_one_of_another(sizes, num_triplets, seed):
    sizes[0] += 1
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    sampler = TripletSampler(labels, 3 * num_triplets, seed)
    for iteration in range(5):
        anchors, positives, negatives = sampler.batch(iteration).reshape(3, num_triplets)
        assert (anchors != positives).all()
        assert (labels[anchors] == labels[positives]).all()
        assert (labels[anchors] != labels[negatives]).all()


@pytest.mark.parametrize("batch_size", [3, 9, 30, 300])
def test_every_image_is_an_anchor_once_an_epoch(batch_size):
    labels = np.append(LABELS, 10)  # the last one is alone, and so no anchor
    sampler = TripletSampler(labels, batch_size, seed=4)
    num_triplets = batch_size // 3
    anchors = np.concatenate([sampler.batch(i)[:num_triplets] for i in range(4 * 59 // num_triplets + 1)])
    epochs = anchors[: 3 * 59].reshape(3, 59)
    for epoch in epochs:
        assert sorted(epoch) == list(range(59))
    assert not np.array_equal(epochs[0], epochs[1])


def test_positives_and_negatives_come_with_equal_chances():
    labels = np.array([2, 0, 1, 0, 0, 2, 0])
    sampler = TripletSampler(labels, 18, seed=0)
    triplets = np.concatenate([sampler.batch(i).reshape(3, 6) for i in range(3000)], axis=1)
    of_row_3 = triplets[:, triplets[0] == 3]
    num = of_row_3.shape[1]
    assert num == pytest.approx(3000, abs=1)  # 6 anchors: row 2 is alone
    for drawn, allowed in ((of_row_3[1], [1, 4, 6]), (of_row_3[2], [0, 2, 5])):
        counts = np.bincount(drawn, minlength=7)
        assert set(np.flatnonzero(counts)) == set(allowed)
        # Five standard deviations of a binomial count
        assert np.abs(counts[allowed] - num / 3).max() < 5 * math.sqrt(num * 2 / 9)


@pytest.mark.parametrize("batch_size", [2, 7, 20, 59])
def test_shuffled_batches_hold_an_image_once_an_epoch(batch_size):
    sampler = ShuffleSampler(LABELS, batch_size, seed=2)
    per_epoch = 59 // batch_size
    epochs = [np.concatenate([sampler.batch(e * per_epoch + i) for i in range(per_epoch)]) for e in range(30)]
    assert all(len(set(epoch)) == per_epoch * batch_size for epoch in epochs)
    assert set(np.concatenate(epochs)) == set(range(59))  # another remainder is dropped each time
    assert not np.array_equal(epochs[0], epochs[1])


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: PairSampler(LABELS, 16, seed),
        lambda seed: TripletSampler(LABELS, 15, seed),
        lambda seed: ShuffleSampler(LABELS, 16, seed),
    ],
    ids=["pairs", "triplets", "shuffle"],
)
def test_the_seed_and_the_iteration_decide_a_batch(make):
    first, second = make(5), make(5)
    forwards = [first.batch(i) for i in range(20)]
    backwards = [second.batch(i) for i in reversed(range(20))][::-1]
    np.testing.assert_array_equal(forwards, backwards)
    assert not np.array_equal(forwards[0], make(6).batch(0))
    assert first.seed == 5
    assert forwards[0].dtype == np.int64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PairSampler(LABELS, 15, 0), "15 images cannot be divided into pairs. Give a multiple of 2"),
        (lambda: PairSampler(LABELS, 0, 0), "multiple of 2"),
        (lambda: PairSampler(LABELS, 5000, 0), "needs 2500 pairs, but the images only form"),
        (lambda: TripletSampler(LABELS, 128, 0), "128 images cannot be divided into triplets. Give a multiple of 3"),
        (lambda: TripletSampler(LABELS, -3, 0), "multiple of 3"),
        (lambda: ShuffleSampler(LABELS, 60, 0), "60 images is not possible; expected 2 to 59"),
        (lambda: ShuffleSampler(LABELS, 1, 0), "expected 2 to 59"),
        (lambda: PairSampler(np.repeat([0, 1], 5000), 128, 0), "25,005,000 positive pairs"),
    ],
)
def test_a_batch_size_that_does_not_fit(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("labels", [np.zeros(9, np.int64), np.arange(9)])
def test_no_triplets(labels):
    with pytest.raises(DataError, match="two classes, and one of them needs two images"):
        TripletSampler(labels, 3, seed=0)
