"""What `lifted train` prints: progress of training and of measurements, the recall before it, the result."""

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.logs.run_log import TrainProgress
from gluon_lifted.metrics.bootstrap import Estimate
from gluon_lifted.metrics.recall_comparison import (
    RecallComparison,
    measure_recall,
)
from gluon_lifted.training.evaluation import RunRecall
from gluon_lifted.training.verdict import baseline_verdicts
from serve_cli.cli import training_console
from serve_cli.cli.console import Progress, print_table
from serve_cli.cli.training_console import (
    TrainingBar,
    percent,
    recall_facts,
    recall_table,
)

LABELS = np.repeat(np.arange(40), 3)


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def comparison(kind, seed):
    rng = np.random.default_rng(seed)
    embeddings = []
    for name, dim, distance in (
        ("embedding", 64, "euclidean"),
        ("pooled features", 1280, "cosine"),
        ("raw pixels", 8, "euclidean"),
    ):
        embeddings += measure_recall(name, rng.normal(size=(120, dim)).astype(np.float32), LABELS, distance)
    return RecallComparison(kind, LABELS, tuple(embeddings))


@pytest.fixture
def measured():
    start, validation, test = comparison("validation", 0), comparison("validation", 1), comparison("test", 2)
    return RunRecall(start, validation, test, baseline_verdicts(start, validation, test), "")


def progress(iteration, recall=None):
    return TrainProgress(iteration, 90, 3.21, 1e-3, 38.4, 0.0, recall)


def test_short_measurements_show_nothing_and_long_ones_the_time_left(capsys, monkeypatch):
    now, opened = Clock(), []
    monkeypatch.setattr(
        training_console, "Progress", lambda label, *options: opened.append(label) or Progress(label, *options)
    )
    with TrainingBar(now) as bar:
        for done in range(0, 1001, 100):
            bar.show_measuring("before training", done, 1000)
            now.seconds += 0.1
        for done in range(0, 1001, 100):
            bar.show_measuring("test", done, 1000)
            now.seconds += 5
    lines = capsys.readouterr().err.splitlines()
    assert opened == ["measure test"]
    assert lines[0] == "measure test: 300 of 1,000 images, 20.0 images/s, 35 s left"


def test_a_measurement_after_training_has_a_bar_of_its_own(capsys):
    now = Clock()
    with TrainingBar(now) as bar:
        for iteration in (1, 2):
            bar.show(progress(iteration))
            now.seconds += 11
        for done in (0, 10, 20, 30):
            bar.show_measuring("test", done, 30)
            now.seconds += 11
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "train: 2 of 90 batches", "measure test: 20 of 30 images", "measure test: 30 of 30 images",
    ]  # fmt: skip


def test_recall_is_shown_with_the_number_of_classes(capsys, measured):
    now = Clock()
    with TrainingBar(now) as bar:
        bar.show_start(measured.start)
        for iteration, recall in ((1, 0.78), (2, None)):
            bar.show(progress(iteration, recall))
            now.seconds += 11
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        "train: recall@1 before training, of 120 images of 40 validation classes (all others are the gallery):"
    )
    assert [line.split(",")[0] for line in lines[1:4]] == [
        "train:   embedding", "train:   pooled features", "train:   raw pixels",
    ]  # fmt: skip
    assert "loss 3.210, recall@1 0.780 (batch 1, 40 classes), 38.4 images/s" in lines[-1]


def test_percent():
    assert percent(Estimate(0.4841, 0.451, 0.517)) == "48.4 [45.1, 51.7]"
    assert percent(Estimate(1.0, float("nan"), float("nan"))) == "100.0"
    assert percent(None) == "-"


def test_the_result_fits_80_columns_in_one_table(capsys, measured, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    columns, rows = recall_table(measured)
    assert columns == ["recall@1, %", "validation", "test"]
    assert [row[0] for row in rows] == [
        "embedding", "pooled features, cosine", "raw pixels", "before: embedding", "before: pooled features, cosine",
    ]  # fmt: skip
    assert rows[0][2] == percent(measured.test.embeddings[0].recall[1])
    assert rows[3][1:] == [percent(measured.start.embeddings[0].recall[1]), "-"]
    print_table(columns, rows)
    assert capsys.readouterr().out.count("recall@1, %") == 1


def test_facts_say_of_how_many_images(measured):
    facts = recall_facts(measured)
    assert facts["validation"] == "120 images of 40 validation classes"
    assert facts["test"] == "120 images of 40 test classes; recall falls as the gallery grows"
    recall = measured.test.embeddings[0].recall
    assert facts["test R@1, 2, 4, 8"] == ", ".join(f"{100 * recall[k].value:.1f}" for k in (1, 2, 4, 8)) + " %"


def test_an_untrained_network_has_no_rows_of_before(measured):
    untrained = RunRecall(measured.start, measured.start, None, (), "")
    assert [row[0] for row in recall_table(untrained)[1]] == ["embedding", "pooled features, cosine", "raw pixels"]
