"""What `lifted train` prints: the recall before training, and the result."""

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.metrics.bootstrap import Estimate
from gluon_lifted.metrics.recall_comparison import (
    RecallComparison,
    measure_recall,
)
from gluon_lifted.training.evaluation import RunRecall
from gluon_lifted.training.verdict import baseline_verdicts
from serve_cli.cli.console import print_table
from serve_cli.cli.training_console import (
    percent,
    recall_facts,
    recall_table,
    show_start,
)

LABELS = np.repeat(np.arange(40), 3)


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


def test_recall_before_training_is_printed(capsys, measured):
    show_start(measured.start)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        "train: recall@1 before training, of 120 images of 40 validation classes (all others are the gallery):"
    )
    assert [line.split(",")[0] for line in lines[1:]] == [
        "train:   embedding", "train:   pooled features", "train:   raw pixels",
    ]  # fmt: skip


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
