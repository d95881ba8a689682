"""Which weights a run freezes: the best or the last, through kills and early stops; averaged weights."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.card import read_card
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.mx import nd
from gluon_lifted.training import loop
from gluon_lifted.training.checkpoint import checkpoints, save_checkpoint
from gluon_lifted.training.run import Hooks, train

pytestmark = pytest.mark.slow


@pytest.fixture
def config(photos):
    return TrainConfig(
        "folder", str(photos), dim=8, iterations=4, batch_size=4, images_per_class=2, resize=36, crop=32,
        validation_classes=0.5, eval_every=1, checkpoint_every=1, backbone="cifar_resnet20_v1", schedule="constant",
        test=False, keep="best",
    )  # fmt: skip


def script(monkeypatch, *recalls):
    """Let measurements during training find these values; above 1, they are better than the measured start."""
    values = iter(recalls)
    monkeypatch.setattr(loop, "recall_at_k", lambda *_: {1: next(values)})


def weights(run):
    return {name: array.asnumpy() for name, array in nd.load(str(run / "model-0000.params")).items()}


def assert_same(run, other):
    for first, second in zip(weights(run).values(), weights(other).values(), strict=True):
        np.testing.assert_array_equal(first, second)


def saved(run):
    return [int(path.stem) for path in checkpoints(run)]


def test_the_best_weights_are_frozen_also_after_a_kill(config, tmp_path, monkeypatch):
    def die(progress):
        if progress.iteration == 3:
            raise RuntimeError("as if it were killed")

    script(monkeypatch, 1.3, 1.9, 1.9)
    with pytest.raises(RuntimeError, match="killed"):
        train(config, tmp_path / "best", hooks=Hooks(die))
    script(monkeypatch, 1.1)
    report = train(config, tmp_path / "best", resume=True)
    assert (report.kept, report.kept_recall, report.recall, report.finished) == (2, 1.9, 1.1, True)
    assert saved(tmp_path / "best") == [2, 3, 4]
    assert read_card(tmp_path / "best" / "card.json").provenance["weights of iteration"] == "2"
    script(monkeypatch, 1.0, 1.0)
    last = train(replace(config, iterations=2, keep="last"), tmp_path / "last")
    assert (last.kept, last.kept_recall) == (2, 1.0)
    assert_same(tmp_path / "best", tmp_path / "last")


def test_the_start_is_kept_if_training_makes_it_worse(config, tmp_path, monkeypatch):
    script(monkeypatch, -0.2, -0.1, -0.3, -0.1)
    report = train(config, tmp_path / "run")
    assert (report.kept, saved(tmp_path / "run")) == (0, [0, 3, 4])
    train(replace(config, iterations=0), tmp_path / "start")
    assert_same(tmp_path / "run", tmp_path / "start")


def test_damaged_best_weights_are_said_and_the_last_are_kept(config, tmp_path, monkeypatch):
    def damage(progress):
        if progress.iteration == 3:
            (tmp_path / "checkpoints" / "00000001.npz").write_bytes(b"")

    notes = []
    script(monkeypatch, 1.9, 1.2, 1.3, 1.4)
    report = train(config, tmp_path, hooks=Hooks(damage, notes.append))
    assert (report.kept, report.kept_recall) == (4, 1.4)
    assert any("the best weights, of iteration 1, are damaged" in note for note in notes)


def test_patience_ends_a_run_until_it_is_raised(config, tmp_path, monkeypatch):
    config = replace(config, patience=2)
    script(monkeypatch, 1.9, 1.2, 1.9)
    report = train(config, tmp_path)
    assert (report.iteration, report.finished, report.stopped_early, report.kept) == (3, True, True, 1)
    assert read_card(tmp_path / "card.json").provenance["iterations"] == "3"
    again = train(config, tmp_path, resume=True)  # measures nothing more
    assert (again.iteration, again.stopped_early, again.kept) == (3, True, 1)
    script(monkeypatch, 2.0)
    more = train(replace(config, patience=3), tmp_path, resume=True)
    assert (more.iteration, more.stopped_early, more.kept) == (4, False, 4)


def test_a_run_that_is_interrupted_in_its_last_iteration_is_measured(config, tmp_path, monkeypatch):
    def interrupt(progress):
        if progress.iteration == 1:
            os.kill(os.getpid(), signal.SIGINT)

    script(monkeypatch, 1.2, 1.9)
    report = train(replace(config, iterations=2), tmp_path, hooks=Hooks(interrupt))
    assert (report.finished, report.kept, report.kept_recall, report.recall) == (True, 2, 1.9, 1.9)


def test_a_complete_run_has_not_stopped_early(config, tmp_path, monkeypatch):
    script(monkeypatch, 1.9, 1.2)
    report = train(replace(config, iterations=2, patience=1), tmp_path)
    assert (report.iteration, report.finished, report.stopped_early) == (2, True, False)


def test_averaged_weights_are_frozen_and_resumed(config, tmp_path, monkeypatch):
    states = []

    def keep_state(run, iteration, state, *rest):
        states.append(state)
        save_checkpoint(run, iteration, state, *rest)

    monkeypatch.setattr(loop, "save_checkpoint", keep_state)
    config = replace(config, average=2, keep="last", iterations=3, margin=50.0)  # no batch is skipped
    train(replace(config, iterations=1), tmp_path)
    assert train(config, tmp_path, resume=True).dead == 0
    names = [name for name in states[-1] if name.startswith("weight:")]
    assert any("running_var" in name for name in names)
    for name in names:
        first, second, third = (state[name].astype(np.float64) for state in states)
        expected = ((first + second) / 2 + third) / 2
        np.testing.assert_allclose(states[-1][f"average:{name}"], expected, rtol=1e-5, atol=1e-6)
    frozen = weights(tmp_path)["arg:embedding_weight"]
    np.testing.assert_array_equal(frozen, states[-1]["average:weight:embedding.weight"])
    assert np.abs(frozen - states[-1]["weight:embedding.weight"]).max() > 1e-5
