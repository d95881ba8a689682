"""A whole run on small images: log, checkpoints, resume, interruption, several devices, frozen files."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.batches.loader import Batch
from gluon_lifted.card import ModelCard
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.devices import mxnet_contexts
from gluon_lifted.errors import (
    ConfigError,
    DataError,
    DeviceError,
    RunError,
)
from gluon_lifted.images import Preprocessing
from gluon_lifted.mx import gluon, mx, nd
from gluon_lifted.training.checkpoint import checkpoints, save_checkpoint
from gluon_lifted.training.data import load_data
from gluon_lifted.training.freeze import freeze
from gluon_lifted.training.run import Hardware, Hooks, train
from gluon_lifted.training.trainer import Trainer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(photos):
    return TrainConfig(
        "folder", str(photos), backbone="cifar_resnet20_v1", dim=8, iterations=4, batch_size=6, images_per_class=2,
        resize=36, crop=32, validation_classes=0, eval_every=2, checkpoint_every=2,
    )  # fmt: skip


def log_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(run):
    return {name: array.asnumpy() for name, array in nd.load(str(run / "model-0000.params")).items()}


@pytest.fixture(scope="module")
def whole_run(config, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    return run, train(config, run)


def test_run_folder(whole_run, config):
    run, report = whole_run
    assert report.finished
    assert 0 <= report.recall <= 1
    assert TrainConfig.read(run) == replace(config, colors="imagenet", interpolation="bilinear", keep="last")
    assert report.watched == "24 images of 4 test classes"
    log = log_of(run)
    assert [line["iteration"] for line in log] == [1, 2, 3, 4]
    assert ["recall@1" in line for line in log] == [False, True, False, True]
    assert [path.name for path in checkpoints(run)] == ["00000002.npz", "00000004.npz"]
    assert not [path for path in run.rglob("*") if path.name.startswith(".")]


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # MXNet's own reader of its own file
def test_frozen_files_agree_with_each_other(whole_run):
    run, _ = whole_run
    card = ModelCard.from_json((run / "card.json").read_text(), "card")
    assert (card.backbone, card.dim, card.preprocessing.crop) == ("cifar_resnet20_v1", 8, 32)
    with np.load(run / "reference.npz", allow_pickle=False) as reference:
        arrays = {name: reference[name] for name in reference.files}
    block = gluon.SymbolBlock.imports(str(run / "model-symbol.json"), ["data"], str(run / "model-0000.params"))
    np.testing.assert_allclose(block(nd.array(arrays["data"])).asnumpy(), arrays["embedding"], rtol=1e-5, atol=1e-5)
    assert arrays["data"].shape == (8, 3, 32, 32)
    assert arrays["node/embedding_fwd"].shape == (1, 8)
    np.testing.assert_allclose(arrays["node/embedding_fwd"][0], arrays["embedding"][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_resumed_run_equals_an_uninterrupted_one(config, tmp_path, optimizer):
    config = replace(config, optimizer=optimizer, learning_rate=1e-4, schedule="constant", eval_every=0)
    train(config, tmp_path / "whole")
    train(replace(config, iterations=2), tmp_path / "parts")
    report = train(config, tmp_path / "parts", resume=True)
    assert report.iteration == 4
    assert [line["iteration"] for line in log_of(tmp_path / "parts")] == [1, 2, 3, 4]
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for first, second in zip(whole.values(), parts.values(), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)


def test_a_run_that_dies_before_its_first_checkpoint_is_resumed_from_the_start(config, tmp_path):
    def die(progress):
        if progress.iteration == 1:
            raise RuntimeError("as if it were killed")

    with pytest.raises(RuntimeError):
        train(config, tmp_path / "killed", hooks=Hooks(die))
    (tmp_path / "killed" / ".config.json.1234.tmp").touch()
    train(config, tmp_path / "killed", resume=True)
    train(config, tmp_path / "whole")
    assert not [path for path in (tmp_path / "killed").rglob("*") if path.name.startswith(".")]
    for first, second in zip(weights(tmp_path / "killed").values(), weights(tmp_path / "whole").values(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_no_line_of_the_log_is_lost_by_a_kill_right_after_a_checkpoint(config, tmp_path, monkeypatch):
    def save_and_die(run, iteration, state, *rest):
        save_checkpoint(run, iteration, state, *rest)
        raise RuntimeError("as if it were killed")

    with monkeypatch.context() as patch:
        patch.setattr("gluon_lifted.training.loop.save_checkpoint", save_and_die)
        with pytest.raises(RuntimeError, match="as if it were killed"):
            train(config, tmp_path)
    assert [path.name for path in checkpoints(tmp_path)] == ["00000000.npz", "00000002.npz"]
    train(config, tmp_path, resume=True)
    assert [line["iteration"] for line in log_of(tmp_path)] == [1, 2, 3, 4]


def test_an_extended_run_says_that_the_rate_rises(whole_run, config, tmp_path):
    notes = []
    shutil.copytree(whole_run[0], tmp_path / "run")
    train(replace(config, iterations=5), tmp_path / "run", resume=True, hooks=Hooks(on_note=notes.append))
    # linear: 2e-3 times 1/4 in the last of 4 batches, times 1/5 in the last of 5
    expected = (
        "the linear schedule now ends at iteration 5 instead of 4, so the learning rate changes from 0.0005 to 0.0004."
    )
    assert expected in notes


def test_a_finished_run_reports_what_it_found(whole_run, config):
    run, report = whole_run
    again = train(config, run, resume=True)
    assert (again.loss, again.recall, again.iteration) == (report.loss, report.recall, 4)
    with pytest.raises(
        RunError, match=r"has already trained 4 iterations, more than --iterations 2\. Give --iterations 4"
    ):
        train(replace(config, iterations=2), run, resume=True)


def test_an_out_that_is_a_file_is_refused(config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="not a folder"):
        train(config, tmp_path / "file")
    with pytest.raises(RunError, match="cannot be written"):
        train(replace(config, iterations=0), Path("/proc/run"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_leave_a_checkpoint_to_resume_from(config, tmp_path, number):
    run, before = tmp_path / "run", [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def press(progress):
        if progress.iteration == 1:
            os.kill(os.getpid(), number)

    report = train(replace(config, checkpoint_every=0), run, hooks=Hooks(press))
    # the batch after the one that was under way
    assert (report.iteration, report.finished, report.signal) == (2, False, number)
    assert not (run / "card.json").exists()
    assert train(replace(config, checkpoint_every=0), run, resume=True).finished
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_two_devices_see_the_whole_batch(config):
    """Gradient and loss of one step equal those of one device: a plain network, as batch norm works per device."""
    config = replace(config, backbone="googlenet", crop=48, resize=48, optimizer="sgd", learning_rate=1e-4)
    rng = np.random.default_rng(0)
    batch = Batch(rng.normal(size=(7, 3, 48, 48)).astype(np.float32), np.array([0, 0, 1, 1, 1, 2, 2]))
    losses, gradients = [], []
    for spec in ("cpu", "cpu:0,cpu:1"):
        trainer = Trainer(config, mxnet_contexts(spec))
        trainer.net.dropout._rate = 0
        trainer.net.hybridize()  # anew, without dropout
        losses.append(trainer.step(batch, 0))
        gradients.append([p.list_grad()[0].asnumpy() for p in trainer.net.collect_params().values()])  # summed
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for first, second in zip(*gradients, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("spec", ["cpu:1", "cpu:2,cpu:3", "cpu:0,cpu:1,cpu:2"])
def test_a_trainer_on_any_devices_goes_on_from_its_state_bit_for_bit(config, spec):
    config = replace(config, dropout=0.0)
    rng = np.random.default_rng(0)
    batches = [Batch(rng.normal(size=(6, 3, 32, 32)).astype(np.float32), np.arange(6) // 2) for _ in range(4)]

    def trained(first, batches, state=None):
        trainer = Trainer(config, mxnet_contexts(spec))
        if state:
            trainer.restore(state)
        for iteration, batch in enumerate(batches, start=first):
            trainer.step(batch, iteration)
        return trainer.state()

    whole, half = trained(0, batches), trained(0, batches[:2])
    parts = trained(2, batches[2:], half)
    assert abs(half["weight:backbone.1.running_mean"]).max() > 0  # the first step counts on all devices
    for name, array in whole.items():
        if "running" not in name:  # which rounding may move: state() gives all devices their mean
            np.testing.assert_array_equal(parts[name], array, name)


def test_a_skipped_batch_leaves_everything_as_it_was(config):
    trainer = Trainer(config, [mx.cpu()])
    images = np.random.default_rng(0).normal(size=(6, 3, 32, 32)).astype(np.float32)
    trainer.step(Batch(images, np.arange(6) // 2), 0)
    before = trainer.state()
    images[0, 0, 0, 0] = np.inf
    trainer.step(Batch(images, np.arange(6) // 2), 1)
    trainer.step(Batch(images, np.arange(6)), 2)  # no two of a class
    assert (trainer.skipped.not_finite, trainer.skipped.dead) == (1, 1)
    for name, array in trainer.state().items():
        if name != "skipped":
            np.testing.assert_array_equal(array, before[name], name)


def test_gradient_that_is_not_finite_is_skipped_and_counted(config, tmp_path):
    trainer = Trainer(config, [mx.cpu()])
    trainer.net.embedding.bias.set_data(nd.full(8, np.nan))
    before = trainer.net.embedding.weight.data().asnumpy()
    images = np.random.default_rng(0).normal(size=(6, 3, 32, 32)).astype(np.float32)
    batch = Batch(images, np.array([0, 0, 1, 1, 2, 2]))
    for iteration in range(9):
        trainer.step(batch, iteration)
    assert trainer.skipped.not_finite == 9
    np.testing.assert_array_equal(trainer.net.embedding.weight.data().asnumpy(), before)
    with pytest.raises(RunError, match="training has diverged: the gradients of 10 batches in a row"):
        trainer.step(batch, 9)
    with pytest.raises(RunError, match="embeddings contain NaN"):
        freeze(trainer.net, tmp_path, None, images)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scramble", ["swap", "dtype", None])
def test_parameters_are_read_back_after_they_were_written(config, tmp_path, monkeypatch, scramble):
    """MXNet wrote another weight than the network has: plausible numbers, which no output of the files betrays."""
    net, images = Trainer(config, [mx.cpu()]).net, np.zeros((1, 3, 32, 32), np.float32)
    export, card = net.export, ModelCard("n", "b", 8, False, Preprocessing(36, 32), "d", "l")

    def export_scrambled(path):
        export(path)
        arrays = nd.load(f"{path}-0000.params")
        weight = arrays["arg:embedding_weight"].asnumpy()
        if scramble == "swap":
            weight[0, [0, 1]] = weight[0, [1, 0]]
        arrays["arg:embedding_weight"] = nd.array(weight, dtype="float16" if scramble == "dtype" else "float32")
        nd.save(f"{path}-0000.params", arrays)

    monkeypatch.setattr(net, "export", export_scrambled)
    if scramble is None:
        freeze(net, tmp_path, card, images)
        assert (tmp_path / "card.json").is_file()
        return
    with pytest.raises(RunError, match="differs from the trained network in 'embedding_weight'"):
        freeze(net, tmp_path, card, images)
    assert not list(tmp_path.iterdir())


def test_files_that_compute_something_else_are_refused(config, tmp_path, monkeypatch):
    """An operator whose float32 version differs: by more than rounding in the type that the network computes in."""
    from gluon_lifted.training import freeze as module

    net, images = Trainer(config, [mx.cpu()]).net, np.zeros((1, 3, 32, 32), np.float32)
    card = ModelCard("n", "b", 8, False, Preprocessing(36, 32), "d", "l")
    outputs = module.network_outputs

    def off_by_a_hundredth(network, feeds):
        return {name: 1.01 * array for name, array in outputs(network, feeds).items()}

    monkeypatch.setattr(module, "network_outputs", off_by_a_hundredth)
    net.embedding.bias.set_data(nd.ones(8))
    with pytest.raises(
        RunError, match="the embeddings of the saved network differ from those of the trained network by"
    ):
        freeze(net, tmp_path, card, images)
    assert not list(tmp_path.iterdir())
    freeze(net, tmp_path, card, images, "float16")
    assert (tmp_path / "card.json").is_file()


def test_zero_iterations_freeze_the_untrained_network(config, tmp_path):
    report = train(replace(config, iterations=0), tmp_path / "untrained")
    assert report.finished
    assert (tmp_path / "untrained" / "card.json").is_file()


def test_validation_classes_are_kept_out_of_training(config):
    data = load_data(replace(config, validation_classes=0.5))
    assert (data.learned.class_names, data.watched.class_names) == (("class 0", "class 1"), ("class 2", "class 3"))
    assert data.watched_as == "12 images of 2 validation classes"


def test_one_class_alone_is_not_watched(config):
    data = load_data(replace(config, validation_classes=0.25))
    assert len(data.learned.class_names) == 4
    assert data.watched_as == "24 images of 4 test classes"


def test_what_batches_lack_is_said(config, tmp_path):
    notes = []
    config = replace(config, images_per_class=8, batch_size=40, iterations=0)
    train(config, tmp_path / "run", hooks=Hooks(on_note=notes.append))
    assert "batches have 32 images instead of 40, because there are only 4 training classes." in notes
    assert (
        "the smallest class has 6 images, fewer than --images-per-class 8, so some are repeated within a batch."
        in notes
    )


def test_runs_that_cannot_work_write_nothing(config, tmp_path, photos):
    run = tmp_path / "run"
    for bad, error, message in (
        (replace(config, backbone="vgg"), ConfigError, "backbone 'vgg'"),
        (replace(config, backbone="googlenet_bn", crop=20), ConfigError, "crop of 20 px is too small"),
        (replace(config, data=str(tmp_path / "nowhere")), DataError, "no such folder"),
        (replace(config, validation_classes=0.75), DataError, "has 1 training class"),
    ):
        with pytest.raises(error, match=message):
            train(bad, run)
        assert not run.exists()
    for spec in ("tpu", "cpu,gpu", "gpu:0,gpu:0", ""):
        with pytest.raises(ConfigError, match="expected cpu, gpu, or GPUs"):
            train(config, run, Hardware(spec))
    with pytest.raises(DeviceError, match="gpu:90 does not exist"):
        train(config, run, Hardware("gpu:90"))
    assert not run.exists()


def test_resume_is_refused_where_it_cannot_work(whole_run, config, tmp_path):
    run, _ = whole_run
    with pytest.raises(RunError, match=r"already contains a run\. Add --resume"):
        train(config, run)
    with pytest.raises(RunError, match="was started with dim 8, not 9"):
        train(replace(config, dim=9), run, resume=True)
    with pytest.raises(RunError, match="not a run folder"):
        train(config, tmp_path, resume=True)


def test_resume_passes_over_a_damaged_checkpoint(config, tmp_path):
    run, notes = tmp_path / "run", []
    train(replace(config, iterations=3), run)
    path = run / "checkpoints" / "00000003.npz"
    path.write_bytes(path.read_bytes()[:1000])
    report = train(config, run, resume=True, hooks=Hooks(on_note=notes.append))
    assert report.finished
    assert len(notes) == 3  # what is watched, the rate, and
    assert "00000003.npz: damaged" in notes[1]
    assert [line["iteration"] for line in log_of(run)] == [1, 2, 3, 4]
