"""The best measurement against the whole list of measurements, and how often a run measures."""

from dataclasses import replace

import numpy as np
import pytest

from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.training.best_recall import BestRecall, iterations_between_measurements, settle_keep


@pytest.mark.parametrize("seed", range(20))
def test_the_best_is_the_first_largest_of_the_list(seed):
    recalls = np.random.default_rng(seed).integers(0, 4, 12) / 4  # with ties, and 0
    best = BestRecall()
    assert not best.known
    for number, recall in enumerate(recalls, start=1):
        seen = recalls[:number].tolist()
        first = seen.index(max(seen))
        assert best.count(10 * number, recall) == (first == number - 1)
        assert best == BestRecall(10 * (first + 1), max(seen), number - 1 - first)
        best = BestRecall.from_numbers(best.numbers())


@pytest.mark.parametrize(
    ("keep", "kind", "num_classes", "settled", "said"),
    [
        ("auto", "validation", 5, "best", ""),
        ("auto", "validation", 4, "last", "4 validation classes are too few"),
        ("auto", "test", 50, "last", "Choosing the best ones by recall on the test classes"),
        ("last", "test", 50, "last", ""),
        ("best", "validation", 2, "best", ""),
        ("best", "test", 50, "best", "chosen by recall on the test classes"),
    ],
)
def test_auto_chooses_neither_by_the_test_classes_nor_by_few(keep, kind, num_classes, settled, said):
    notes = []
    assert settle_keep(TrainConfig(keep=keep), kind, num_classes, notes.append).keep == settled
    assert len(notes) == bool(said)
    assert said in "".join(notes)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_stopping_by_the_test_classes_is_said_too(keep):
    notes = []
    settle_keep(TrainConfig(keep=keep, patience=2), "test", 50, notes.append)
    settle_keep(TrainConfig(keep=keep, patience=2), "validation", 50, notes.append)
    assert len(notes) == 1
    assert "chosen by recall on the test classes" in notes[0]


@pytest.mark.parametrize(
    ("iterations", "num_images", "expected"),
    [
        (2000, 800, 100),  # a twentieth
        (10, 1, 1),
        (2000, 6000, 313),  # 6,000 images a third of the time are 2,000; 313 batches of 128 images 20 times as many
        (0, 10, 1),
    ],
)
def test_measuring_is_a_small_share_of_a_run(iterations, num_images, expected):
    config = TrainConfig(iterations=iterations, batch_size=128)
    assert iterations_between_measurements(config, num_images) == expected
    for every in (0, 7):
        assert iterations_between_measurements(replace(config, eval_every=every), num_images) == every
