"""The README's commands, as they stand there, on a small set of photographs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from gluon_lifted.mx import gluoncv_network, nd
from gluon_lifted.networks.backbones import backbone_initializer

ROOT = Path(__file__).parent.parent
WEIGHTS = "weights.params"  # random ones, in place of what the README downloads
# The README trains for minutes
FEWER = {"--iterations": "2", "--batch-size": "16", "--weights": WEIGHTS}
SHORTER = {"bench": ["--seconds", "0.1", "--batch-size", "4"]}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def commands():
    joined = [block.replace("\\\n", "") for block in blocks("bash")]  # lines that go on in the next one
    lines = [line.split("#")[0].strip() for block in joined for line in block.splitlines()]
    return [line for line in lines if line]


def test_the_commands_run_in_order(tmp_path, monkeypatch, capfd):
    from serve_cli import read_embeddings
    from serve_cli.cli.main import main
    from serve_cli.compress import comparison

    monkeypatch.setattr(comparison, "SECONDS", 0.01)
    rng = np.random.default_rng(0)
    for label in range(6):
        folder = tmp_path / "photos" / f"class {label}"
        folder.mkdir(parents=True)
        for index in range(4):
            Image.fromarray(rng.integers(0, 255, (90, 120, 3), np.uint8)).save(folder / f"{index}.jpg")
    monkeypatch.chdir(tmp_path)
    network = gluoncv_network("mobilenetv2_1.0")
    network.initialize(backbone_initializer())
    network(nd.zeros((1, 3, 32, 32)))
    network.save_parameters(WEIGHTS)
    lifted = [line for line in commands() if line.startswith("lifted ")]
    assert len(lifted) >= 6
    for line in lifted:
        words = shlex.split(line)
        for option, value in FEWER.items():
            if option in words:
                words[words.index(option) + 1] = value
        if "--precision" in words:
            words.append("--force")  # whether int8 is faster depends on the processor
        monkeypatch.setattr("sys.argv", words + SHORTER.get(words[1], []))
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0, f"{line}: {capfd.readouterr().err}"
    assert (tmp_path / "embeddings" / "manifest.json").is_file()
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)
    written = read_embeddings("embeddings")
    rows = dict(zip(map(str, tmp_path.rglob("photos/*/*.jpg")), names["embeddings"], strict=True))
    np.testing.assert_allclose([rows[path] for path in written.paths], written.embedding, atol=1e-5)


def test_the_other_commands_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    project = (ROOT / "pyproject.toml").read_text()
    for line in commands():
        words = shlex.split(line)
        if words[0] == "make":
            assert words[1] in targets
        elif words[0] == "pip":
            extra = re.search(r"\[(.+)\]", line)[1]
            assert f"\n{extra} = [" in project
        else:
            assert words[0] in ("lifted", ".")
