"""`lifted train`'s settings as a user gives them: recipes, files, options, losses, formats of data."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.hardware.cpus import has_bfloat16_units, instruction_sets
from gluon_lifted.losses.known_losses import LOSSES

pytestmark = pytest.mark.slow

SMALL = shlex.split(
    "--backbone cifar_resnet20_v1 --resize 36 --crop 32 --dim 8 --batch-size 6 --images-per-class 2 "
    "--validation-classes 0 --iterations 2"
)


@pytest.fixture
def photos(tmp_path):
    """Eight classes of three images, and a manifest of them."""
    rng = np.random.default_rng(0)
    lines = ["path,label,split"]
    for label in range(8):
        folder = tmp_path / "photos" / f"class {label}"
        folder.mkdir(parents=True)
        for index in range(3):
            Image.fromarray(rng.integers(0, 255, (40, 44, 3), np.uint8)).save(folder / f"{index}.png")
            lines.append(f"class {label}/{index}.png,{label},{'train' if label < 5 else 'test'}")
    (tmp_path / "photos" / "all.csv").write_text("\n".join(lines))
    return tmp_path / "photos"


def needs_mxnet():
    pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")


def test_print_config_shows_every_field_with_its_source(lifted):
    status, out, err = lifted("train", "--recipe", "paper-cars", "--print-config", "--dim", 128, "--normalize")
    assert (status, err) == (0, "")
    assert out.startswith("# Sources: the paper")
    lines = dict(line.removeprefix("# ").split(" = ", 1) for line in out.splitlines()[1:])
    assert set(lines) == set(TrainConfig.__dataclass_fields__)
    assert lines["dim"].split() == ["128", "#", "command", "line"]
    assert lines["normalize"].startswith("true")
    assert lines["learning_rate"].split("#") == [lines["learning_rate"].split("#")[0], " solver: base_lr 0.0001"]


def test_what_is_printed_is_a_config_file(lifted, tmp_path):
    status, out, _ = lifted("train", "--recipe", "paper-sop", "--print-config", "--seed", 7)
    assert status == 0
    (tmp_path / "sop.toml").write_text(out)
    status, again, _ = lifted("train", "--config", tmp_path / "sop.toml", "--print-config", "--seed", 8)
    assert status == 0
    values = [[line.split("  #")[0] for line in text.splitlines()] for text in (out.split("\n", 1)[1], again)]
    differing = [(first, second) for first, second in zip(*values, strict=True) if first != second]
    assert [tuple(map(str.split, pair)) for pair in differing] == [(["seed", "=", "7"], ["seed", "=", "8"])]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--recipe", "paper"], 1, "recipe 'paper' is unknown. Choose one of paper-cub"),
        (["--config", "none.toml"], 1, "none.toml: cannot be read"),
        (["--loss", "hinge"], 1, "loss 'hinge' is unknown"),
        (["--loss", "triplet", "--sampler", "pairs"], 1, "loss triplet needs batches of triplets"),
        (["--out", "run"], 2, "missing: --data, the folder of the data set"),
        (["--data", "photos"], 2, "missing: --out, the run folder to write"),
        (["--dim", "many"], 2, "--dim is 'many'; expected a whole number"),
    ],
)
def test_settings_that_cannot_work(lifted, words, status, message):
    returncode, out, err = lifted("train", *words)
    assert (returncode, out) == (status, "")
    assert message in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains(lifted, photos, tmp_path, loss):
    needs_mxnet()
    words = ("--data", photos, "--out", tmp_path / "run", *SMALL, "--loss", loss, "--learning-rate", 1e-4)
    status, out, err = lifted("train", "folder", *words, "--json")
    assert status == 0, err
    assert json.loads(out)["finished"]
    written = TrainConfig.read(tmp_path / "run")
    assert (written.loss, written.sampler) == (loss, LOSSES[loss].sampler or "balanced")


def test_manifest_config_file_and_logs(lifted, photos, tmp_path):
    needs_mxnet()
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    file = tmp_path / "mine.yaml"
    file.write_text(
        "dataset: manifest\ntensorboard: true\nschedule: cosine\nwarmup: 1\nclip-gradient: 1\nnormalize: true\n"
        "fit: pad\ntrim: true\ncolors: caffe\noptimizer: sgd\nlearning_rate: 1e-3\n"
    )
    run = tmp_path / "run"
    status, out, err = lifted("train", "--config", file, "--data", photos / "all.csv", "--out", run, *SMALL)
    assert status == 0, err
    assert "curves" in out
    with Image.open(run / "curves.png") as picture:
        assert picture.width > 300
    assert len(list((run / "tensorboard").iterdir())) == 1
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["learning_rate"] for line in log] == pytest.approx([0.5e-3, 1e-3])
    card = json.loads((run / "card.json").read_text())
    assert card["normalized"]
    used = card["preprocessing"]
    assert (used["fit"], used["trim"], used["channels"], used["mean"]) == ("pad", True, "BGR", [104, 117, 123])
    with np.load(run / "reference.npz") as reference:
        np.testing.assert_allclose(np.linalg.norm(reference["embedding"], axis=1), 1, rtol=1e-5)


def test_refusals_before_anything_is_written(lifted, photos, tmp_path):
    needs_mxnet()
    run = tmp_path / "run"
    for words, message in (
        *([] if has_bfloat16_units(instruction_sets()) else [(["--amp"], "--amp needs a GPU")]),
        (["--weights", tmp_path / "none.caffemodel"], "none.caffemodel"),
        (["--use-boxes"], "has no bounding boxes"),
        (["--weights", "x" * 5000, "--iterations", 0], "neither a file nor a name of published weights. Expected"),
        (["--weights", "imagnet"], "neither a file nor a name of published weights. Did you mean imagenet?"),
        (["--backbone", "resnet51_v1", "--data", "nowhere"], "backbone 'resnet51_v1' is unknown"),
        (["--backbone", "resnet51_v1"], "backbone 'resnet51_v1' is unknown"),
        (["--num-hosts", "2", "--rank", "2"], "rank is 2; expected 0 to 1"),
    ):
        status, out, err = lifted("train", "folder", "--data", photos, "--out", run, *SMALL, *words)
        assert (status, out) == (1, ""), err
        assert message in err
        assert not run.exists()


def test_a_gluoncv_backbone_trains_and_exports(lifted, photos, tmp_path):
    needs_mxnet()
    pytest.importorskip("onnx", reason="onnx is not installed")
    run, model = tmp_path / "run", tmp_path / "model.onnx"
    words = ("--data", photos, "--out", run, *SMALL, "--backbone", "resnet18_v1", "--learning-rate", 1e-4)
    status, _, err = lifted("train", "folder", *words)
    assert status == 0, err
    status, out, err = lifted("export", run, "--onnx", model)
    assert status == 0, err
    assert "parity" in out


def test_weights_go_from_run_to_run(lifted, photos, tmp_path):
    needs_mxnet()
    words = ("train", "folder", "--data", photos, *SMALL, "--learning-rate", 1e-4)
    status, _, err = lifted(*words, "--out", tmp_path / "first")
    assert status == 0, err
    source = tmp_path / "first" / "model-0000.params"
    status, _, err = lifted(*words, "--out", tmp_path / "second", "--weights", source, "--iterations", 0)
    assert status == 0, err
    assert "tensors used" in err
    report = json.loads((tmp_path / "second" / "weights.json").read_text())
    assert report["missing"] == []
    references = [tmp_path / name / "reference.npz" for name in ("first", "second")]
    with np.load(references[0]) as first, np.load(references[1]) as second:
        np.testing.assert_allclose(second["embedding"], first["embedding"], rtol=1e-4, atol=1e-5)
