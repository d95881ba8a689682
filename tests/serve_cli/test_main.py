"""The command line: exit statuses, and what goes to stdout and stderr."""

import json
import os
import re
import signal
import subprocess
import sys
from typing import NamedTuple

import pytest

import gluon_lifted
from serve_cli.main import main
from serve_cli.runtime import doctor
from serve_cli.runtime.doctor import Check, Diagnosis
from serve_cli.runtime.storage.reader import read_embeddings

from .photos import broken_photos, photo


class Run(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def lifted(monkeypatch, capsys):
    """Run the command in this process, as its entry point does."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lifted", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Run(ended.value.code, *capsys.readouterr())

    return run


def process(code, *arguments):
    """Run the command in a process of its own, after ``code``."""
    command = [sys.executable, "-c", f"{code}; from serve_cli.main import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def fails(run, message):
    """One line on stderr, nothing on stdout, exit status 1."""
    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(rf"lifted: error: .*{message}.*\n", run.stderr), run.stderr


def test_version_and_help(lifted):
    assert lifted("--version").stdout == f"lifted {gluon_lifted.__version__}\n"
    assert "embed" in lifted("--help").stdout
    assert "on a GPU 128" in lifted("embed", "--help").stdout


def test_embed_then_eval_then_inspect(lifted, tmp_path, model, album):
    out = tmp_path / "emb"
    run = lifted("embed", model, album, "--out", out)
    assert (run.returncode, run.stderr) == (0, "")
    assert "images/s" in run.stdout
    run = lifted("eval", out, "--k", "1,3", "--json")
    assert run.returncode == 0
    report = json.loads(run.stdout)
    assert (report["results"][0]["queries"], report["results"][0]["classes"]) == (12, 3)
    assert list(report["results"][0]["metrics"])[:2] == ["R@1", "R@3"]
    assert "R@1" in lifted("eval", out).stdout
    assert json.loads(lifted("inspect", model, "--json").stdout)["card"]["name"] == "tiny"
    assert "tiny" in lifted("inspect", out).stdout


def test_bench_saves_what_embed_takes(lifted, tmp_path, model, album):
    arguments = ("bench", model, "--batch-size", "3", "--threads", "1", "--seconds", "0.1")
    found = json.loads(lifted(*arguments, "--json").stdout)
    assert [(one["batch_size"], one["sessions"]) for one in found["trials"]] == [(3, 1)]
    run = lifted(*arguments, "--save")
    assert run.returncode == 0
    assert "--batch-size 3 --sessions 1" in run.stdout
    lifted("embed", model, album, "--out", tmp_path / "emb")
    assert json.loads((tmp_path / "emb" / "manifest.json").read_text())["batch_size"] == 3
    run = lifted("embed", model, album, "--out", tmp_path / "cpu", "--device", "gpu", "--allow-fallback")
    assert run.returncode == 0
    assert "the CPU is used" in run.stderr
    assert json.loads((tmp_path / "cpu" / "manifest.json").read_text())["provider"] == "CPUExecutionProvider"


def test_some_images_failed(lifted, tmp_path, model, album):
    broken_photos(album / "zoo")
    run = lifted("embed", model, album, "--out", tmp_path / "emb", "--json")
    report = json.loads(run.stdout)
    assert run.returncode == 3
    assert (report["rows"], report["failed"]) == (17, 5)
    lines = run.stderr.splitlines()
    assert len(lines) == 6
    assert lines[5].startswith("lifted: column error has all reasons; once mended, --retry-failed")
    assert lines[0].startswith(f"lifted: failed: {album / 'zoo' / 'empty.jpg'}: ")
    assert lifted("eval", tmp_path / "emb").returncode == 3


def test_bad_input_is_one_sentence_and_leaves_nothing(lifted, tmp_path, model, album):
    out = tmp_path / "emb"
    (tmp_path / "text.onnx").write_text("not a model")
    (tmp_path / "nothing").mkdir()
    fails(lifted("embed", tmp_path / "text.onnx", album, "--out", out), "onnxruntime cannot load it")
    fails(lifted("embed", tmp_path / "none.onnx", album, "--out", out), "no such file")
    fails(lifted("embed", model, tmp_path / "none", "--out", out), "no such file or folder")
    fails(lifted("embed", model, tmp_path / "nothing", "--out", out), "no images found")
    fails(lifted("embed", model, album, "--out", out, "--device", "gpu"), "no CUDAExecutionProvider")
    fails(lifted("embed", model, album, "--out", model), "is a file")
    fails(lifted("eval", out), "no such embedding folder or model")
    fails(lifted("eval", tmp_path / "nothing"), "has no manifest.json")
    fails(lifted("eval", model, "--dataset", "mnist", "--data", album), "data set 'mnist' is unknown")
    fails(lifted("inspect", tmp_path / "text.onnx"), "cannot load it")
    assert not out.exists()


def test_second_run_has_nothing_to_do_until_the_images_change(lifted, tmp_path, model, album):
    arguments = ("embed", model, album, "--out", tmp_path / "emb")
    assert lifted(*arguments).returncode == 0
    assert "12 of them by an earlier run" in lifted(*arguments).stdout
    photo(album / "cat" / "new.jpg")
    fails(lifted(*arguments), r"the source has another number of images \(12, now 13\)")
    assert lifted(*arguments, "--overwrite").returncode == 0
    assert len(read_embeddings(tmp_path / "emb").ids) == 13


@pytest.mark.parametrize(
    "arguments",
    [
        ("embed",),
        ("embed", "a", "b"),
        ("embed", "a", "b", "--out", "c", "--batch-size", "0"),
        ("embed", "a", "b", "--out", "c", "--device", "tpu"),
        ("eval", "a", "--k", "1,x"),
        ("fly",),
    ],
)
def test_usage_errors(lifted, arguments):
    run = lifted(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert "Usage:" in run.stderr


def test_file_names_that_are_not_utf8(tmp_path, model):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    photo(tmp_path / "good.png").rename(os.fsdecode(folder + b"/g\xf6\xf6d.png"))
    with open(folder + b"/b\xe4d.png", "wb"):
        pass
    for extra in ((), ("--json", "--overwrite")):
        out = os.fsdecode(folder + b"/emb")
        with process("pass", "embed", model, os.fsdecode(folder), "--out", out, *extra) as run:
            _, stderr = run.communicate(timeout=60)
        assert run.returncode == 3
        assert "Traceback" not in stderr
    assert read_embeddings(tmp_path / os.fsdecode(b"caf\xe9/emb")).ids == (r"b\xe4d.png", r"g\xf6\xf6d.png")


def test_ctrl_c_is_a_short_line_and_130(tmp_path, model):
    photo(tmp_path / "photos" / "a.png")
    slow = (  # a background job may have been started with SIGINT ignored, and its children inherit that
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import time, serve_cli.runtime.pipeline.decoding as decoding; "
        "decoding.read_image = lambda *_: print('reading', flush=True) or time.sleep(1)"
    )
    with process(slow, "embed", model, tmp_path / "photos", "--out", tmp_path / "emb") as run:
        assert run.stdout.readline() == "reading\n"
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=30)
    assert run.returncode == 130
    assert stderr == "\nlifted: stopped.\n"
    assert not (tmp_path / "emb").exists()


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_reader_of_stdout_that_goes_away_is_not_an_error(model, arguments):
    with process("import time; time.sleep(0.5)", "inspect", model, *arguments) as run:
        run.stdout.close()
        assert run.stderr.read() == ""
    assert run.returncode == 1


def test_bug_keeps_its_traceback(model):
    bug = "import serve_cli.runtime.inspection as inspection; inspection.Embedder = lambda path, **_: 1 / 0"
    with process(bug, "inspect", model) as run:
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "Traceback" in stderr
    assert "ZeroDivisionError" in stderr


def test_doctor(lifted):
    run = lifted("doctor", "--json")
    assert run.returncode == 0
    names = [check["name"] for check in json.loads(run.stdout)["checks"]]
    assert {"Python", "NumPy", "system libraries", "MXNet", "onnxruntime", "CPU cores"} <= set(names)


def test_doctor_is_strict_when_asked(lifted, monkeypatch):
    missing = Diagnosis((Check("MXNet", "training", "missing", "not installed", "install it"),))
    monkeypatch.setattr(doctor, "examine", lambda: missing)
    assert lifted("doctor").returncode == 0
    assert re.search(r"MXNet +install it", lifted("doctor").stdout)
    assert lifted("doctor", "--strict").returncode == 1
