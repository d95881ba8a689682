"""The commands and the code of the README and the tutorial, as they stand there, on a small set of photographs."""

import re
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.documents import DOCUMENTS, ROOT, blocks, commands, lifted_commands

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from gluon_lifted.mx import gluoncv_network, nd
from gluon_lifted.networks.backbones import backbone_initializer

README, TUTORIAL = ROOT / "README.md", ROOT / "docs" / "tutorial.md"
WEIGHTS = "weights.params"  # random ones, in place of what the documents download
FEWER = {"--iterations": 2, "--batch-size": 16}  # the documents train for minutes
SHORTER = {"bench": ["--seconds", "0.1", "--batch-size", "4"]}


def smaller(words):
    """The same command with less work, and with weights that need no download."""
    words = words + SHORTER.get(words[1], [])
    for option, most in FEWER.items():
        if option in words and words[1] == "train":
            place = words.index(option) + 1
            words[place] = str(min(most, int(words[place])))
    if "--weights" in words:
        words[words.index("--weights") + 1] = WEIGHTS
    if "--precision" in words:
        words.append("--force")  # whether int8 is faster depends on the processor
    return words


def run(words, monkeypatch, capfd):
    from serve_cli.cli.main import main

    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0, f"{shlex.join(words)}: {capfd.readouterr().err}"


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Six classes of four photographs, one of them also as photo.jpg, and weights, in the current folder."""
    rng = np.random.default_rng(0)
    for label in range(6):
        folder = tmp_path / "photos" / f"class {label}"
        folder.mkdir(parents=True)
        for index in range(4):
            Image.fromarray(rng.integers(0, 255, (90, 120, 3), np.uint8)).save(folder / f"{index}.jpg")
    shutil.copy(tmp_path / "photos" / "class 3" / "2.jpg", tmp_path / "photo.jpg")
    network = gluoncv_network("mobilenetv2_1.0")
    network.initialize(backbone_initializer())
    network(nd.zeros((1, 3, 32, 32)))
    network.save_parameters(str(tmp_path / WEIGHTS))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("document", [README, TUTORIAL], ids=lambda path: path.stem)
def test_the_commands_run_in_order(document, photographs, monkeypatch, capfd):
    from serve_cli.compress import comparison

    monkeypatch.setattr(comparison, "SECONDS", 0.01)
    lines = lifted_commands(document, "bash")
    assert len(lines) >= 5
    for words in lines:
        if words[1] != "serve":  # it answers until it is stopped; its tests are elsewhere
            run(smaller(words), monkeypatch, capfd)


def test_the_readme_does_the_same_in_python(photographs, monkeypatch, capfd):
    for words in lifted_commands(README, "bash")[:2]:
        run(smaller(words), monkeypatch, capfd)
    capfd.readouterr()
    exec(blocks(README, "python")[0], {})
    printed = [line.split(" ", 1) for line in capfd.readouterr().out.splitlines()]
    assert len(printed) == 5
    assert printed[0][1].endswith("class 3/2.jpg")
    assert float(printed[0][0]) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_other_commands_exist(document):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    project = (ROOT / "pyproject.toml").read_text()
    for words in commands(document, "bash"):
        if words[0] == "make":
            assert words[1] in targets
        elif words[:2] == ["pip", "install"]:
            extras = re.search(r"\[(.+)\]", words[-1])
            for extra in extras[1].split(",") if extras else ():
                assert f"\n{extra} = [" in project
