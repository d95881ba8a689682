"""Recall before and after training: against plain loops over MXNet's own embeddings, and kept in the run folder."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.batches.loader import Batch, ImageLoader
from gluon_lifted.card import ModelCard
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.datasets.image_digest import image_digest
from gluon_lifted.devices import mxnet_contexts
from gluon_lifted.images import Preprocessing
from gluon_lifted.metrics.recall_comparison import EMBEDDING, PIXELS, POOLED
from gluon_lifted.mx import gluon, nd
from gluon_lifted.progress import progress_to
from gluon_lifted.training import evaluation
from gluon_lifted.training.data import load_data
from gluon_lifted.training.freeze import freeze
from gluon_lifted.training.run import Hooks, train
from gluon_lifted.training.trainer import Trainer
from tests.gluon_lifted.metrics.ranking_loops import ranked_hits

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(photos):
    return TrainConfig(
        "folder", str(photos), backbone="cifar_resnet20_v1", dim=4, iterations=2, batch_size=4, images_per_class=2,
        resize=36, crop=32, validation_classes=0.5, dropout=0.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    run, starts, shown = tmp_path_factory.mktemp("runs") / "run", [], []

    @contextmanager
    def show(label, total, unit="images", start=0):
        yield SimpleNamespace(update=lambda done, text="": shown.append((label, done, total)))
        shown.append((label, "closed", total))

    with pytest.MonkeyPatch.context() as patch, progress_to(show):
        patch.setattr(evaluation, "BATCH", 5)  # several batches, the last smaller
        return run, train(config, run, hooks=Hooks(on_start=starts.append)), starts, shown


def recall_by_loops(rows, labels, k, distance="euclidean"):
    rows = np.asarray(rows, np.float64).tolist()
    hits = [any(ranked_hits(rows[i], labels[i], rows, labels, i, distance)[:k]) for i in range(len(rows))]
    return sum(hits) / len(hits)


def images_of(table, config):
    with ImageLoader(table, Preprocessing(config.resize, config.crop), 1) as loader:
        return np.concatenate([batch.images for batch in loader.test_batches(8)])


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # MXNet's own reader of its own file
def test_recall_of_the_test_images_is_that_of_the_frozen_files(finished, config):
    run, report, _, _ = finished
    table, test = load_data(config).test, report.measured.test
    block = gluon.SymbolBlock.imports(str(run / "model-symbol.json"), ["data"], str(run / "model-0000.params"))
    rows = block(nd.array(images_of(table, config))).asnumpy()
    assert (test.kind, len(test.labels), test.num_classes) == ("test", 24, 4)
    for k in (1, 2, 4, 8):
        assert test.get(EMBEDDING).recall[k].value == pytest.approx(recall_by_loops(rows, table.labels, k))
    thumbnails = [np.asarray(Image.open(path).resize((16, 16), Image.Resampling.BILINEAR)) for path in table.paths]
    pixels = np.array(thumbnails, np.float64).reshape(24, -1)
    assert test.get(PIXELS).recall[1].value == pytest.approx(recall_by_loops(pixels, table.labels, 1), abs=0.1)
    assert test.get(POOLED).distance == "cosine"


def test_the_start_is_the_network_as_it_was_drawn(finished, config):
    run, report, starts, _ = finished
    table = load_data(config).watched
    trainer = Trainer(config, mxnet_contexts("cpu"))
    images = nd.array(images_of(table, config))
    start = report.measured.start
    embedding, pooled = trainer.net(images).asnumpy(), trainer.net.backbone(images).asnumpy().reshape(12, -1)
    assert start.get(EMBEDDING).recall[1].value == pytest.approx(recall_by_loops(embedding, table.labels, 1))
    assert start.get(POOLED).recall[1].value == pytest.approx(recall_by_loops(pooled, table.labels, 1, "cosine"))
    assert (start.kind, start.images) == ("validation", "12 images of 2 validation classes")
    assert starts == [start]
    classes = {
        "training_classes": list(load_data(config).learned.class_names),
        "measured_classes": list(table.class_names),
        "measured_images": image_digest(table.paths, [path.parent.name for path in table.paths]),
    }
    assert json.loads((run / "start.json").read_text()) == start.to_json_with_hits() | classes
    assert not set(classes["training_classes"]) & set(classes["measured_classes"])
    assert json.loads((run / "result.json").read_text()) == report.measured.to_json()


def test_the_trained_validation_recall_is_that_of_the_last_evaluation(finished):
    _, report, _, _ = finished
    assert report.measured.validation.get(EMBEDDING).recall[1].value == report.recall
    assert [verdict.kind for verdict in report.measured.verdicts] == ["test", "validation", "validation"]


def test_progress_counts_every_pass_over_the_images(finished):
    shown = finished[-1]
    labels = list(dict.fromkeys(label for label, _, _ in shown))
    steps = {label: [done for name, done, _ in shown if name == label] for label in labels}
    assert [label for label in labels if "ranks" not in label] == [
        "measure before training, raw pixels", "measure before training", "train",
        "measure validation", "measure test, raw pixels", "measure test",  # pixels of validation images are known
    ]  # fmt: skip
    assert steps["train"] == [1, 2, "closed"]
    assert steps["measure validation"] == [5, 10, 12, "closed"]
    assert steps["measure test"] == [5, 10, 15, 20, 24, "closed"]
    assert steps["measure test, raw pixels"] == [*range(1, 25), "closed"]
    ranked = [label for label in labels if label.startswith("measure test, ranks by")]
    assert [steps[label][-2:] for label in ranked] == [[24, "closed"]] * 3


def test_a_resumed_run_reads_its_start(finished, config):
    run, report, _, _ = finished
    written = json.loads((run / "start.json").read_text())
    kept = json.dumps(written)
    written["embeddings"][0]["recall"]["1"]["value"] = 0.125
    (run / "start.json").write_text(json.dumps(written))
    notes = []
    again = train(config, run, resume=True)
    assert again.measured.start.get(EMBEDDING).recall[1].value == 0.125
    assert again.measured.test.to_json() == report.measured.test.to_json()
    (run / "start.json").write_text("{")
    again = train(replace(config, test=False), run, resume=True, hooks=Hooks(on_note=notes.append))
    assert any("start.json: missing or damaged" in note for note in notes)
    assert (again.measured.start, again.measured.test) == (None, None)
    assert [verdict.baseline for verdict in again.measured.verdicts] == [PIXELS]
    (run / "start.json").write_text(kept)


def test_zero_iterations_measure_and_compare_nothing(config, tmp_path):
    report = train(replace(config, iterations=0), tmp_path / "untrained")
    measured = report.measured
    assert measured.validation is measured.start
    assert len(measured.test.embeddings) == 3
    assert (measured.verdicts, measured.warning) == ((), "")


def test_watched_test_images_are_measured_once(config, tmp_path):
    measured = train(replace(config, iterations=1, validation_classes=0), tmp_path / "run").measured
    assert (measured.start.kind, measured.validation.kind, measured.test) == ("test", "test", None)
    assert {verdict.kind for verdict in measured.verdicts} == {"test"}


def test_a_damaged_test_image_does_not_undo_the_training(config, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    damaged, notes = tmp_path / "photos" / "class 7" / "5.png", []
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    config = replace(config, data=str(tmp_path / "photos"), iterations=0)
    report = train(config, tmp_path / "run", hooks=Hooks(on_note=notes.append))
    assert report.measured.test is None
    assert (tmp_path / "run" / "card.json").is_file()
    assert "5.png" in notes[-1]
    assert notes[-1].endswith("Recall on the test classes was not measured.")


@pytest.mark.parametrize("normalize", [False, True])
def test_one_pass_gives_what_the_network_gives(config, normalize):
    config = replace(config, normalize=normalize, backbone="googlenet", crop=48, resize=50)
    residual = np.random.default_rng(0).normal(size=(50, 50, 3)).astype(np.float32)
    trainer = Trainer(config, mxnet_contexts("cpu"), residual=residual)
    images = np.random.default_rng(1).normal(size=(5, 3, 48, 48)).astype(np.float32)
    ((pooled, embedding),) = trainer.pool_and_embed([Batch(images, np.arange(5))])
    expected = trainer.net(nd.array(images)).asnumpy()
    np.testing.assert_allclose(embedding, expected, rtol=1e-5, atol=1e-6)
    center = nd.array(residual[1:49, 1:49].transpose(2, 0, 1)[None])
    features = trainer.net.backbone(nd.array(images) - center).asnumpy().reshape(5, -1)
    np.testing.assert_allclose(pooled, features, rtol=1e-5, atol=1e-6)


def test_a_frozen_network_returns_to_its_devices(config, tmp_path):
    trainer = Trainer(config, mxnet_contexts("cpu:1,cpu:2"))
    images = np.random.default_rng(1).normal(size=(5, 3, 32, 32)).astype(np.float32)
    ((_, before),) = trainer.pool_and_embed([Batch(images, np.arange(5))])
    freeze(trainer.net, tmp_path, ModelCard("n", "b", 4, False, Preprocessing(36, 32), "d", "l"), images)
    ((_, after),) = trainer.pool_and_embed([Batch(images, np.arange(5))])
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)
