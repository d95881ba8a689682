"""What is said of a run that did not beat its baselines."""

import math

import numpy as np
import pytest

from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.metrics.bootstrap import Estimate
from gluon_lifted.metrics.recall_comparison import (
    EMBEDDING,
    PIXELS,
    POOLED,
    EmbeddingRecall,
    RecallComparison,
)
from gluon_lifted.training.verdict import (
    STARTED,
    Verdict,
    baseline_verdicts,
    warning,
)

RANDOM, TRAINED = TrainConfig(), TrainConfig(weights="imagenet", learning_rate=1e-4, dim=32, crop=64)


def verdict(name, low, high):
    return Verdict(name, "test", Estimate((low + high) / 2, low, high))


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.1, 0.2, "better"), (-0.2, -0.1, "worse"), (-0.1, 0.1, "undecided"), (0.0, 0.1, "undecided"),
        (math.nan, math.nan, "undecided"),
    ],
)  # fmt: skip
def test_the_interval_decides(low, high, outcome):
    assert verdict(PIXELS, low, high).outcome == outcome
    assert verdict(PIXELS, low, high).to_json()["trained"] == outcome


def test_nothing_is_said_if_all_baselines_were_beaten():
    assert warning(RANDOM, (verdict(PIXELS, 0.1, 0.2), verdict(STARTED[POOLED], 0.01, 0.2))) == ""
    assert warning(RANDOM, ()) == ""


def test_losses_and_what_is_undecided_are_named_with_their_intervals():
    text = warning(RANDOM, (verdict(PIXELS, -0.2, -0.1), verdict(STARTED[EMBEDDING], -0.01, 0.03)))
    assert text.startswith(
        "recall@1 is lower than that of raw pixels (-15.0 points [-20.0, -10.0] on test) and cannot be distinguished "
        "from that of the embedding before training (+1.0 points [-1.0, +3.0] on test). "
    )


@pytest.mark.parametrize(
    ("config", "name", "advice"),
    [
        (RANDOM, PIXELS, "Start from trained weights (--weights imagenet"),
        (RANDOM, STARTED[EMBEDDING], "Start from trained weights (--weights imagenet"),
        (TRAINED, STARTED[EMBEDDING], "Lower --learning-rate (it is 0.0001)"),
        (TRAINED, STARTED[POOLED], "--dim (it is 32)"),
        (TRAINED, PIXELS, "Raise --crop (it is 64 px)"),
    ],
)
def test_the_advice_suits_what_the_run_did(config, name, advice):
    assert advice in warning(config, (verdict(name, -0.2, -0.1),))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (STARTED[EMBEDDING], "Lower --learning-rate (it is 0.0001), raise --iterations"),
        (STARTED[POOLED], "Raise --iterations, or train on more images."),
    ],
)
def test_the_advice_where_nothing_is_lost_but_undecided(name, advice):
    assert advice in warning(TRAINED, (verdict(name, 0.0, 0.0), verdict(PIXELS, 0.1, 0.2)))


def comparison(kind, **hits):
    labels = np.arange(12) // 3
    names = {"embedding": EMBEDDING, "pooled": POOLED, "pixels": PIXELS}
    embeddings = (
        EmbeddingRecall(names[name], 2, "euclidean", {}, np.arange(12) < count) for name, count in hits.items()
    )
    return RecallComparison(kind, labels, tuple(embeddings))


def test_each_baseline_is_compared_on_the_images_where_it_was_measured():
    start = comparison("validation", embedding=3, pooled=9, pixels=1)
    validation, test = comparison("validation", embedding=6, pixels=1), comparison("test", embedding=5, pixels=11)
    verdicts = baseline_verdicts(start, validation, test)
    values = [(verdict.baseline, verdict.kind, round(12 * verdict.difference.value)) for verdict in verdicts]
    assert values == [(PIXELS, "test", -6), (STARTED[EMBEDDING], "validation", 3), (STARTED[POOLED], "validation", -3)]
    assert baseline_verdicts(None, validation, None)[0].kind == "validation"
    assert len(baseline_verdicts(None, validation, None)) == 1
