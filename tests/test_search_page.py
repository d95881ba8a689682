"""The commands and the code of docs/search.md, as they are written, on a small catalog."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.serve_cli.photos import photo
from tests.serve_cli.tiny_model import write_model

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

TEXT = (Path(__file__).parent.parent / "docs/search.md").read_text()
ELSEWHERE = {"pip", "load"}  # no command of this project; needs a server, and is tested with its database


def blocks(language):
    return [code for kind, code in re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL) if kind == language]


def commands():
    lines = [line for block in blocks("") for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if line and not ELSEWHERE & set(line[:2])]


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    """What the page's names stand for: six photographs in two classes, and the files that are searched with."""
    write_model(tmp_path / "model.onnx")
    for number in range(6):
        photo(tmp_path / f"photos/class {number % 2}/{number}.jpg", seed=number)
    searched = ("photo.jpg", "a.jpg", "b.jpg", "c.jpg", "returned-photos/d.jpg", "new-photos/e.jpg")
    for number, name in enumerate(searched):
        photo(tmp_path / name, seed=number)
    (tmp_path / "gone.txt").write_text("z.jpg\n")
    monkeypatch.chdir(tmp_path)


def run(words, monkeypatch, capfd):
    from serve_cli.cli.main import main

    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capfd.readouterr()
    assert stop.value.code == 0, f"{shlex.join(words)}: {err}"
    return out


def test_commands_run_in_order_and_python_finds_the_same(catalog, monkeypatch, capfd):
    printed = {shlex.join(words): run(words, monkeypatch, capfd) for words in commands()}
    assert len(printed) > 10
    first = printed["lifted search catalog.index photo.jpg"]
    ids = re.findall(r"class \d/\d\.jpg", first)
    assert ids[0] == "class 0/0.jpg"  # the same picture
    assert sorted(ids) == sorted(f"class {number % 2}/{number}.jpg" for number in range(6))
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(block, names)
    shown = [line.split(" ", 1) for line in capfd.readouterr().out.splitlines()]
    assert [Path(path).name for _, path in shown] == [Path(name).name for name in ids[:5]]
    assert np.all(np.diff([float(distance) for distance, _ in shown]) >= 0)
    assert {match.label for match in names["matches"][0]} == {"class 0"}
