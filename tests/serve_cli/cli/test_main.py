"""The command line: exit statuses, and what goes to stdout and stderr."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import gluon_lifted
from serve_cli import diagnosis as doctor
from serve_cli.cli.main import main
from serve_cli.diagnosis import Check, Diagnosis
from serve_cli.embeddings.reader import read_embeddings
from tests.serve_cli.photos import broken_photos, photo


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
    command = [sys.executable, "-c", f"{code}; from serve_cli.cli.main import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def fails(run, message):
    """One line on stderr, nothing on stdout, exit status 1."""
    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(rf"lifted: error: .*{message}.*\n", run.stderr), run.stderr


def test_version_and_help(lifted):
    assert lifted("--version").stdout == f"lifted {gluon_lifted.__version__}\n"
    assert lifted("-V").stdout == lifted("--version").stdout
    assert lifted().stdout == lifted("--help").stdout
    assert "128 on a GPU" in " ".join(lifted("embed", "--help").stdout.split())


def test_completion_lists_the_commands():
    environment = {**os.environ, "_LIFTED_COMPLETE": "complete_bash", "COMP_WORDS": "lifted e", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "serve_cli"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["export", "embed", "eval"]


def test_module_runs_as_the_command_does():
    run = subprocess.run([sys.executable, "-m", "serve_cli", "fly"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "Usage: lifted COMMAND [OPTIONS]" in run.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("embed", "a", "b"), "--out DIR is missing. Write the embeddings to this folder."),
        (("embed", "a", "b", "c", "--out", "d"), "takes MODEL.onnx and PHOTOS only; found 'c' as well."),
        (("embed", "a", "b", "--out", "c", "--batch-size", "0"), "--batch-size is '0'; expected 1 or more."),
        (("embed", "a", "b", "--out", "c", "--batch-size", "many"), "--batch-size is 'many'; expected a whole number."),
        (("serve", "a", "--port", "99999"), "--port is '99999'; expected at most 65535."),
        (("embed", "a", "b", "--out", "c", "--device", "cuda"), "'cuda'; expected cpu, openvino, gpu or tensorrt."),
        (("bench", "a", "--seconds", "2s"), "--seconds is '2s'; expected a number of seconds."),
        (("train", "--learning-rate", "1,5"), "--learning-rate is '1,5'; expected a number."),
        (("train", "--iteration", "9"), "has no option --iteration. Did you mean --iterations"),
        (("evaluate", "a"), "lifted has no command 'evaluate'. Did you mean eval?"),
        (("doctor", "now"), "takes options only; found 'now' as well."),
        (("train", "folder", "photos"), "found 'photos' as well. Options need their names: --data PATH and --out DIR."),
        (("export", "net-symbol.json", "net.params"), "takes RUN only; found 'net.params' as well."),
        (("embed", "a", *("photo.jpg",) * 50, "--out", "d"), "photo.jpg ..."),
        (("help",), "use `lifted COMMAND --help`"),
        (("export", "runs/a", "--weights", "a.pth"), "--weights is 'a.pth'; expected a name that ends in .safetensors"),
        (("export", "runs/a", "--onnx", "photo.jpg"), "--onnx is 'photo.jpg'; expected a name that ends in .onnx"),
        (("embed", "a", "b", "--out", "c", "--format", "csv"), "--format: 'csv' is unknown; expected parquet or npy"),
        (("embed", "a", "b", "--out", "c", "--task-index", "3"), "--task-index: 3 needs --num-tasks 4 or more"),
        (("eval", "a", "--k", "0"), "--k: found rank 0; expected 1 to 1,000,000,000."),
    ],
)
def test_usage_errors_say_what_was_found_and_expected(lifted, words, message):
    run = lifted(*words)
    assert (run.returncode, run.stdout) == (2, "")
    first, *others = run.stderr.splitlines()
    assert first.startswith("lifted: error: ")
    assert message in first
    assert others[0].startswith("Usage: lifted ")
    assert others[1].endswith(" --help`.")


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


@pytest.mark.slow
def test_bench_saves_what_embed_takes(lifted, tmp_path, model, album, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = ("bench", model, "--batch-size", "3", "--threads", "1", "--seconds", "0.1")
    report = json.loads(lifted(*arguments, "--json").stdout)
    assert [(trial["batch_size"], trial["sessions"]) for trial in report["trials"]] == [(3, 1)]
    run = lifted(*arguments, "--save")
    assert run.returncode == 0
    assert "--batch-size 3 --sessions 1" in run.stdout
    lifted("embed", model, album, "--out", tmp_path / "emb")
    assert json.loads((tmp_path / "emb" / "manifest.json").read_text())["batch_size"] == 3
    run = lifted("embed", model, album, "--out", tmp_path / "cpu", "--device", "gpu", "--allow-fallback")
    assert run.returncode == 0
    assert "falling back to the CPU" in run.stderr
    assert json.loads((tmp_path / "cpu" / "manifest.json").read_text())["provider"] == "CPUExecutionProvider"


def test_some_images_failed(lifted, tmp_path, model, album):
    broken_photos(album / "zoo")
    run = lifted("embed", model, album, "--out", tmp_path / "emb", "--json")
    report = json.loads(run.stdout)
    assert run.returncode == 3
    assert (report["rows"], report["failed"]) == (17, 5)
    lines = run.stderr.splitlines()
    assert len(lines) == 6
    assert lines[5].startswith("lifted: all errors are in the column error. Fix the images, then")
    assert lines[0].startswith(f"lifted: failed: {album / 'zoo' / 'empty.jpg'}: ")
    assert lifted("eval", tmp_path / "emb").returncode == 3


def test_bad_input_is_one_sentence_and_leaves_nothing(lifted, tmp_path, model, album):
    out = tmp_path / "emb"
    (tmp_path / "text.onnx").write_text("not a model")
    (tmp_path / "nothing").mkdir()
    fails(lifted("embed", tmp_path / "text.onnx", album, "--out", out), "is not an ONNX model, or is damaged")
    fails(lifted("embed", tmp_path / "none.onnx", album, "--out", out), "no such file")
    fails(lifted("embed", model, tmp_path / "none", "--out", out), "no such file or folder")
    fails(lifted("embed", model, tmp_path / "nothing", "--out", out), "no images found")
    fails(lifted("embed", model, album, "--out", out, "--device", "gpu"), "no CUDAExecutionProvider")
    fails(lifted("embed", model, album, "--out", model), "is a file")
    fails(lifted("eval", out), r"no such file or folder\. Expected a folder of embeddings")
    fails(lifted("eval", tmp_path / "nothing"), "is an empty folder; expected a folder of embeddings")
    fails(lifted("eval", model, "--dataset", "mnist", "--data", album), "data set 'mnist' is unknown")
    fails(lifted("inspect", tmp_path / "text.onnx"), "cannot load it")
    fails(lifted("embed", album, model, "--out", out), "is an ONNX model: are the two arguments swapped?")
    fails(lifted("search", album, model), "expected an index, which `lifted index` writes")
    fails(lifted("verify", album, model), "expected an ONNX model, .* are the two arguments swapped?")
    fails(lifted("export", album, "--onnx", tmp_path / "x.onnx"), "Train on it first: `lifted train folder --data")
    fails(lifted("serve", album), "is a folder of images; expected an index of .* or an ONNX model")
    assert not out.exists()


def test_train_with_a_path_in_place_of_the_data_set_says_the_command(lifted, album, tmp_path):
    run = lifted("train", album, "--out", tmp_path / "run")
    assert run.returncode == 2
    assert f"Try `lifted train folder --data {album} --out {tmp_path / 'run'}`" in run.stderr
    assert "missing: --out, the run folder to write." in lifted("train", "--data", album).stderr
    assert "missing: --data, the folder of the data set." in lifted("train", "--out", tmp_path / "run").stderr
    assert "Did you mean lifted?" in lifted("train", "--loss", "lfited").stderr


def test_eval_takes_a_folder_of_classes_as_train_does(lifted, model, album):
    by_default = lifted("eval", model, "--data", album, "--k", "1", "--json")
    named = lifted("eval", model, "--data", album, "--k", "1", "--json", "--dataset", "folder")
    assert (by_default.returncode, by_default.stdout) == (0, named.stdout)
    fails(lifted("eval", model), "give --data a folder with one sub-folder per class")


def test_second_run_has_nothing_to_do_until_the_images_change(lifted, tmp_path, model, album):
    arguments = ("embed", model, album, "--out", tmp_path / "emb")
    assert lifted(*arguments).returncode == 0
    assert "12 of them by an earlier run" in lifted(*arguments).stdout
    photo(album / "cat" / "new.jpg")
    fails(lifted(*arguments), r"the number of images has changed \(from 12 to 13\)")
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


@pytest.mark.slow
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


# A background job may have been started with SIGINT ignored, and its children inherit that.
# Reading begins when the main thread waits: on its way there, a signal may leave one of Python's locks held
SLOW = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "import sys, threading, time, serve_cli.embed.decoding as decoding; main_thread = threading.main_thread().ident; "
    "waits = lambda: sys._current_frames()[main_thread].f_code.co_name == 'wait' or time.sleep(0.01); "
    "decoding.read_image = lambda *_: any(iter(waits, True)) or print('reading', flush=True) or time.sleep(1)"
)


@pytest.mark.parametrize(
    ("number", "status", "line"),
    [(signal.SIGINT, 130, "\nlifted: stopped.\n"), (signal.SIGTERM, 143, "\nlifted: stopped by SIGTERM.\n")],
)
@pytest.mark.slow
def test_ctrl_c_and_sigterm_are_a_short_line_and_a_status(tmp_path, model, number, status, line):
    photo(tmp_path / "photos" / "a.png")
    with process(SLOW, "embed", model, tmp_path / "photos", "--out", tmp_path / "emb") as run:
        assert run.stdout.readline() == "reading\n"
        run.send_signal(number)
        _, stderr = run.communicate(timeout=60)
    assert (run.returncode, stderr) == (status, line)
    assert not (tmp_path / "emb").exists()


@pytest.mark.slow
def test_sigterm_ends_a_process_whose_threads_do_not_stop(tmp_path, model):
    """As where the exception came just after a condition had taken its lock."""
    photo(tmp_path / "photos" / "a.png")
    code = f"{SLOW.replace('time.sleep(1)', 'time.sleep(1000)')}; from serve_cli.cli import main; main.GRACE_S = 0.5"
    with process(code, "embed", model, tmp_path / "photos", "--out", tmp_path / "emb") as run:
        assert run.stdout.readline() == "reading\n"
        run.send_signal(signal.SIGTERM)
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 143
    assert stderr.endswith("lifted: ended; its threads did not stop within 0.5 s of SIGTERM.\n")


@pytest.mark.slow
def test_process_number_1_of_a_container_obeys_sigterm(tmp_path, model):
    """The kernel discards the signals of a process with that number unless it has a handler for them."""
    alone = ["unshare", "--pid", "--fork", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare cannot make a PID namespace here")
    photo(tmp_path / "photos" / "a.png")
    code = f"import os; print(os.getpid(), flush=True); {SLOW}; from serve_cli.cli.main import main; main()"
    command = [*alone, sys.executable, "-c", code, "embed", model, tmp_path / "photos", "--out", tmp_path / "emb"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as outer:
        assert outer.stdout.readline() == "1\n"
        assert outer.stdout.readline() == "reading\n"
        (child,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
        _, stderr = outer.communicate(timeout=60)
    assert (outer.returncode, stderr) == (143, "\nlifted: stopped by SIGTERM.\n")


@pytest.mark.slow
def test_sigterm_that_was_ignored_stays_ignored():
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    slow = "import serve_cli.diagnosis as doctor; doctor.examine = lambda: print('in it', flush=True) or input()"
    command = [sys.executable, "-c", f"{code}; {slow}; from serve_cli.cli.main import main; main()", "doctor"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout.readline() == b"in it\n"
        run.send_signal(signal.SIGTERM)
        run.communicate(b"\n", timeout=60)
    assert run.returncode != 143


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [("--version",), ("embed", "--help"), ("doctor",), ("doctor", "--json")])
@pytest.mark.slow
def test_stdout_that_is_full_is_one_sentence(arguments, unbuffered):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = [sys.executable, "-m", "serve_cli.cli.main", *arguments]
    with open("/dev/full", "w") as full:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert run.returncode == 1
    assert run.stderr == (
        "lifted: error: the results cannot be written to standard output (No space left on device).\n"
    )


@pytest.mark.slow
def test_closed_streams_do_not_become_other_files(tmp_path, model, album):
    """Else the next file that is opened is number 1, and what is printed goes into it."""
    command = f"{sys.executable} -m serve_cli.cli.main embed {model} {album} --out {tmp_path / 'emb'} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
    assert len(read_embeddings(tmp_path / "emb").ids) == 12


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1:strict", "utf-16"])
def test_names_that_the_terminal_cannot_show(tmp_path, model, encoding):
    photo(tmp_path / "größe 写真" / "写.png")
    (tmp_path / "größe 写真" / "bad 写.png").touch()
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for arguments, status in (
        (("embed", model, tmp_path / "größe 写真", "--out", tmp_path / "写"), 3),
        (("inspect", tmp_path / "写"), 0),
        (("inspect", tmp_path / "没有"), 1),
    ):
        command = [sys.executable, "-m", "serve_cli.cli.main", *arguments]
        run = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert run.returncode == status
        assert "Traceback" not in run.stderr.decode(encoding.split(":")[0], "replace")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_reader_of_stdout_that_goes_away_is_not_an_error(model, arguments):
    with process("import time; time.sleep(0.5)", "inspect", model, *arguments) as run:
        run.stdout.close()
        assert run.stderr.read() == ""
    assert run.returncode == 1


@pytest.mark.parametrize("command", ["index", "inspect", "report", "eval"])
def test_paths_that_are_too_long_are_one_sentence(lifted, command):
    fails(lifted(command, "x" * 5000), r"x{100}\.\.\.: the path or a name in it is too long \(5,\d\d\d characters\)\.")


def test_paths_without_permission_are_one_sentence(lifted, monkeypatch, tmp_path):
    def refuse(path, params):
        raise PermissionError(13, "Permission denied", str(tmp_path / "secret"))

    monkeypatch.setattr("serve_cli.inspection.inspect_path", refuse)
    message = "permission denied to write. Get write access"  # nothing is there, and the folder can be entered
    fails(lifted("inspect", tmp_path), f"{tmp_path / 'secret'}: {message}")
    (tmp_path / "secret").touch()
    monkeypatch.setattr("os.access", lambda path, mode: "secret" not in str(path))
    fails(lifted("inspect", tmp_path), f"{tmp_path / 'secret'}: permission denied to read. Get read access")


def test_bug_keeps_its_traceback(model):
    bug = "import serve_cli.inspection as inspection; inspection.Embedder = lambda *_: 1 / 0"
    with process(bug, "inspect", model) as run:
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "Traceback" in stderr
    assert "ZeroDivisionError" in stderr


@pytest.mark.slow
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
