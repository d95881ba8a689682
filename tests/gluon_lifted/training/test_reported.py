"""A run without hooks reports its progress as all other work does."""

from contextlib import contextmanager

import pytest

from gluon_lifted.logs.run_log import TrainProgress
from gluon_lifted.progress import progress_to
from gluon_lifted.training.reported import ProgressReport


@pytest.fixture
def seen():
    """What was opened, shown and closed, in order."""
    seen = []

    @contextmanager
    def show(label, total, unit="images", start=0):
        class Bar:
            def update(self, done, text=""):
                seen.append((done, text))

        seen.append((label, total, unit, start))
        yield Bar()
        seen.append("closed")

    with progress_to(show):
        yield seen


def batch(iteration, recall=None):
    return TrainProgress(iteration, 300, 0.5, 1e-3, 60.0, 0.0, recall)


def test_measurements_and_training_have_a_bar_each(seen):
    with ProgressReport() as report:
        report.measuring("pixels", 32, 64)
        report.measuring("pixels", 64, 64)
        report.training(batch(201))
        report.training(batch(202, recall=0.25))
        report.training(batch(203))
    assert seen == [
        ("measure pixels", 64, "images", 0),
        (32, ""),
        (64, ""),
        "closed",
        ("train", 300, "batches", 200),
        (201, "loss 0.500"),
        (202, "loss 0.500, recall@1 0.250 at 202"),
        (203, "loss 0.500, recall@1 0.250 at 202"),
        "closed",
    ]
