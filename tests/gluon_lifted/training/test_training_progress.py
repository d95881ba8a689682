"""Training reports its progress as all other work does."""

from contextlib import contextmanager

import pytest

from gluon_lifted.logs.run_log import TrainProgress
from gluon_lifted.progress import progress_to
from gluon_lifted.training.training_progress import training_progress


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


def test_the_newest_recall_stays_beside_the_loss(seen):
    with training_progress(300, 200, 10) as show:
        show(batch(201))
        show(batch(202, recall=0.25))
        show(batch(203))
    assert seen == [
        ("train", 300, "batches", 200),
        (201, "loss 0.500, 60.0 images/s"),
        (202, "loss 0.500, recall@1 0.250, 60.0 images/s, recall of batch 202 on 10 classes"),
        (203, "loss 0.500, recall@1 0.250, 60.0 images/s, recall of batch 202 on 10 classes"),
        "closed",
    ]
