"""What a run says of its start, and runs that are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gluon_lifted.datasets.image_digest import image_digest
from gluon_lifted.errors import RunError
from gluon_lifted.metrics.bootstrap import ClassBootstrap
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.recall_comparison import RecallComparison, measure_recall
from gluon_lifted.metrics.retrieval import retrieval_scores
from serve_cli.report import run_start
from serve_cli.report.run_start import read_run_start
from serve_cli.report.trained_classes import split_by_training
from tests.serve_cli.report.made import blobs
from tests.serve_cli.tiny_model import CARD

TRAINED = replace(CARD, provenance={"params sha256": "ab" * 32})


def write_run(folder, embeddings, training=("dog",)):
    """A run that measured raw pixels and an embedding of the images of these embeddings."""
    folder.mkdir()
    (folder / "card.json").write_text(TRAINED.to_json())
    found = [
        *measure_recall("embedding", embeddings.embedding[::-1].copy(), embeddings.labels),
        *measure_recall("raw pixels", embeddings.embedding, embeddings.labels),
    ]
    start = RecallComparison("validation", embeddings.labels, tuple(found)).to_json_with_hits()
    images = {
        "training_classes": [*training],
        "measured_classes": [*embeddings.class_names],
        "measured_images": image_digest(embeddings.paths, embeddings.label_names),
    }
    (folder / "start.json").write_text(json.dumps(start | images))
    return folder


@pytest.fixture
def embeddings():
    return replace(blobs([6, 7, 8], dim=8), card=TRAINED)


def test_a_start_is_what_the_run_wrote(tmp_path, embeddings):
    start = read_run_start(write_run(tmp_path / "run", embeddings), embeddings)
    assert (start.images, start.kind, start.training_classes) == (21, "validation", {"dog"})
    (expected,) = measure_recall("raw pixels", embeddings.embedding, embeddings.labels)
    assert start.recall["raw pixels"] == expected.recall
    assert list(start.recall) == ["embedding", "raw pixels"]
    assert start.measured_same_images(embeddings)


def test_weights_that_were_never_updated_trained_on_no_class(tmp_path, embeddings):
    run = write_run(tmp_path / "run", embeddings)
    for iteration, classes in (("0", set()), ("20", {"dog"})):
        card = replace(TRAINED, provenance=TRAINED.provenance | {"weights of iteration": iteration})
        (run / "card.json").write_text(card.to_json())
        assert read_run_start(run, embeddings).training_classes == classes


def test_other_images_are_not_the_same(tmp_path, embeddings):
    run = write_run(tmp_path / "run", embeddings)
    fewer = embeddings.only(np.arange(21) > 0)
    assert not read_run_start(run, fewer).measured_same_images(fewer)
    renamed = replace(embeddings, class_names=("a", "b", "c"))
    assert not read_run_start(run, renamed).measured_same_images(renamed)
    another = replace(embeddings, paths=("another.jpg", *embeddings.paths[1:]))
    assert not read_run_start(run, another).measured_same_images(another)
    moved = replace(embeddings, paths=tuple(f"/moved/{path}" for path in embeddings.paths))
    assert read_run_start(run, moved).measured_same_images(moved)


def test_a_run_that_did_not_record_its_images_has_other_ones(tmp_path, embeddings):
    run = write_run(tmp_path / "run", embeddings)
    values = json.loads((run / "start.json").read_text())
    del values["measured_images"]
    (run / "start.json").write_text(json.dumps(values))
    assert not read_run_start(run, embeddings).measured_same_images(embeddings)


@pytest.mark.parametrize("provenance", [{}, {"params sha256": "cd" * 32}], ids=["unknown", "other"])
def test_the_run_of_another_model_is_refused(tmp_path, embeddings, provenance):
    other = replace(embeddings, card=replace(TRAINED, provenance=provenance))
    with pytest.raises(RunError, match=r"run: its weights are not those of made \(params sha256 abab"):
        read_run_start(write_run(tmp_path / "run", embeddings), other)


def test_weights_without_a_hash_are_not_taken_for_the_same(tmp_path, embeddings):
    run = write_run(tmp_path / "run", embeddings)
    (run / "card.json").write_text(CARD.to_json())
    with pytest.raises(RunError, match=r"\(params sha256 None, expected None\)"):
        read_run_start(run, replace(embeddings, card=CARD))


def test_folders_that_are_no_run(tmp_path, embeddings):
    with pytest.raises(RunError, match=r"none: no such folder; give --run the folder of a finished `lifted train`"):
        read_run_start(tmp_path / "none", embeddings)
    with pytest.raises(RunError, match=r"has no card\.json; give --run"):
        read_run_start(tmp_path, embeddings)
    (tmp_path / "card.json").write_text(TRAINED.to_json())
    with pytest.raises(RunError, match=r"start\.json: cannot be read \(No such file"):
        read_run_start(tmp_path, embeddings)


@pytest.mark.parametrize(
    "change",
    [
        {"training_classes": None},
        {"training_classes": [1]},
        {"images": "many"},
        {"embeddings": [{"name": "a", "recall": {}}]},
        {"embeddings": [{"name": "a", "recall": {"1": {"value": 7, "low": 0, "high": 1}}}]},
        {"embeddings": [{"name": "a", "recall": {"1": {"value": None, "low": 0, "high": 1}}}]},
        {"embeddings": 3},
    ],
    ids=str,
)
def test_damaged_starts(tmp_path, embeddings, change):
    run = write_run(tmp_path / "run", embeddings)
    values = json.loads((run / "start.json").read_text())
    (run / "start.json").write_text(json.dumps(values | change))
    with pytest.raises(RunError, match=r"start\.json: is damaged"):
        read_run_start(run, embeddings)


def test_a_start_larger_than_any_written_is_not_read(tmp_path, embeddings, monkeypatch):
    monkeypatch.setattr(run_start, "MAX_START_BYTES", 10)
    with pytest.raises(RunError, match="more than 10 bytes"):
        read_run_start(write_run(tmp_path / "run", embeddings), embeddings)


def test_queries_are_split_by_their_classes():
    embeddings = blobs([6, 7, 8], spread=1.5)
    scores = retrieval_scores(Search.leave_one_out(embeddings.embedding, embeddings.labels))
    split = split_by_training(embeddings, scores, frozenset({"class 0", "class 2", "elsewhere"}))
    assert split.names == {"class 0", "class 2"}
    assert split.images == 14
    seen = embeddings.labels != 1
    hits = scores.first_rank == 1
    assert split.seen == ClassBootstrap(embeddings.labels[seen]).interval(hits[seen])
    assert split.unseen.value == hits[~seen].mean()
    nothing = split_by_training(embeddings, scores, frozenset({"elsewhere"}))
    assert (nothing.names, nothing.images, nothing.seen) == (frozenset(), 0, None)
    assert nothing.unseen.value == hits.mean()
