"""`lifted train`, `export` and `demo` as a user runs them: the whole line, and each kind of bad input."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from gluon_lifted.datasets.glyphs import GlyphOptions, generate_glyphs

pytestmark = pytest.mark.slow

SMALL = "--resize 36 --crop 32 --dim 8 --batch-size 4 --images-per-class 2 --validation-classes 0".split()


@pytest.fixture
def photos(tmp_path):
    """Four classes of three images."""
    rng = np.random.default_rng(0)
    for label in range(4):
        folder = tmp_path / "photos" / f"class {label}"
        folder.mkdir(parents=True)
        for index in range(3):
            Image.fromarray(rng.integers(0, 255, (40, 44, 3), np.uint8)).save(folder / f"{index}.png")
    return tmp_path / "photos"


def test_train_interrupt_resume_export(lifted, photos, tmp_path):
    run = tmp_path / "runs" / "one"
    words = ("train", "folder", "--data", photos, "--out", run, *SMALL, "--iterations", 2)
    status, out, err = lifted(*words, "--json")
    assert status == 0, err
    report = json.loads(out)
    assert (report["iteration"], report["finished"], report["run"]) == (2, True, str(run))
    assert "train: googlenet_bn with the lifted loss on folder" in err
    status, _, err = lifted(*words)
    assert (status, "already contains a run. Add --resume" in err) == (1, True)
    status, out, err = lifted(*words[:-1], 3, "--resume")
    assert status == 0, err
    assert "3 of 3" in out
    status, out, err = lifted("export", run, "--onnx", tmp_path / "deep" / "model.onnx", "--json")
    assert status == 0, err
    report = json.loads(out)
    assert report["opset"] == 17
    assert report["parity"]["max_abs_error"] <= 1e-4
    status, out, err = lifted("eval", tmp_path / "deep" / "model.onnx", "--dataset", "folder", "--data", photos)
    assert status == 0, err


def test_bad_data_is_one_sentence_exit_1_and_nothing_written(lifted, photos, tmp_path):
    def copy(name):
        shutil.copytree(photos, tmp_path / name)
        return tmp_path / name

    (tmp_path / "empty").mkdir()
    single, alone, broken = copy("single"), copy("alone"), copy("broken")
    for label in (1, 2, 3):
        shutil.rmtree(single / f"class {label}")
    for index in (1, 2):
        (alone / "class 1" / f"{index}.png").unlink()
    (broken / "class 1" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for data, message in (
        (tmp_path / "nowhere", "nowhere: no such folder; expected the data set folder"),
        (tmp_path / "empty", "empty: it has no sub-folders; expected one sub-folder of images per class"),
        (single, "single: has only one class, 'class 0'. At least 2 are needed"),
        (
            alone,
            "class 'class 1' has 1 image, but a positive pair needs 2 (1 such classes). Add images, or remove the "
            "class",
        ),
        (broken, "class 1/2.png: cannot be read"),
    ):
        status, out, err = lifted("train", "folder", "--data", data, "--out", tmp_path / "run", *SMALL)
        assert (status, out) == (1, "")
        (line,) = [line for line in err.splitlines() if line.startswith("lifted: error: ")]
        assert message in line
        assert "Traceback" not in err
        assert not (tmp_path / "run").exists()


def test_run_folders_that_are_none(lifted, photos, tmp_path):
    target = tmp_path / "model.onnx"
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.json").write_text("{}")
    for run in (tmp_path / "nowhere", photos, unfinished):
        status, out, err = lifted("export", run, "--onnx", target)
        assert (status, out) == (1, "")
        assert f"lifted: error: {run}" in err
        assert not target.exists()
    status, _, err = lifted("train", "folder", "--data", photos, "--out", photos, *SMALL, "--resume")
    assert (status, "--out" in err) == (1, True)


def test_demo_makes_all_its_files(lifted, tmp_path):
    generate_glyphs(tmp_path / "demo" / "glyphs", GlyphOptions(train_classes=40, test_classes=8, images_per_class=4))
    status, out, err = lifted("demo", "--out", tmp_path / "demo", "--iterations", 1, "--json")
    assert status == 0, err
    report = json.loads(out)
    assert set(report["recall@1"]) == {"raw pixels", "untrained network", "trained network, ONNX"}
    assert all(0 < recall < 1 for recall in report["recall@1"].values())
    assert "Nearest neighbors" in (tmp_path / "demo" / "report.html").read_text()
    for name in ("glyphs", "trained", "untrained", "embeddings", "model.onnx", "untrained.onnx"):
        assert (tmp_path / "demo" / name).exists()
    status, out, err = lifted("demo", "--out", tmp_path / "demo", "--iterations", 1)
    assert status == 0, err
    assert "lifted train folder --data PHOTOS" in out


def test_demo_leaves_other_folders_alone(lifted, photos):
    before = sorted(photos.rglob("*"))
    status, _, err = lifted("demo", "--out", photos, "--iterations", 1)
    assert (status, "contains files that are not from a demo" in err) == (1, True)
    assert sorted(photos.rglob("*")) == before
