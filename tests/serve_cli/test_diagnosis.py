import subprocess
import sys

import pytest

from gluon_lifted.extras import install_command
from gluon_lifted.hardware.gpus import Gpu
from serve_cli import diagnosis as doctor
from serve_cli.diagnosis import examine

pytestmark = pytest.mark.slow

onnxruntime = pytest.importorskip("onnxruntime")
A100, H200 = Gpu("A100", (8, 0), 80 << 30), Gpu("H200", (9, 0), 141 << 30)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine on which all is well; probes are not run."""
    monkeypatch.setattr(doctor, "list_gpus", lambda: [])
    monkeypatch.setattr(doctor, "missing_libraries", lambda: [])
    monkeypatch.setattr(doctor, "missing_packages", lambda: [])
    monkeypatch.setattr(doctor, "_probe", lambda code: "")
    monkeypatch.setattr(doctor, "version", lambda package: {"numpy": "1.26.4", "mxnet": "1.9.1"}.get(package, ""))


def check(name):
    return next(check for check in examine().checks if check.name == name)


def test_machine_on_which_all_is_well():
    diagnosis = examine()
    assert diagnosis.missing == 0
    assert {check.status for check in diagnosis.checks} <= {"ok", "limited"}
    assert check("NVIDIA GPU").found == "none; the CPU is used"
    assert check("onnxruntime").found.startswith(onnxruntime.__version__)


def test_missing_library_gives_the_apt_line(monkeypatch):
    monkeypatch.setattr(doctor, "missing_libraries", lambda: ["libquadmath.so.0"])
    monkeypatch.setattr(doctor, "missing_packages", lambda: ["libquadmath0"])
    monkeypatch.setattr(doctor, "_probe", lambda code: "OSError: libquadmath.so.0: cannot open")
    libraries = check("system libraries")
    assert (libraries.status, libraries.found) == ("missing", "without libquadmath.so.0")
    assert libraries.cure == check("MXNet").cure == "apt-get install -y libquadmath0"
    assert "libquadmath.so.0: cannot open" in check("MXNet").found
    assert examine().missing == 2


def test_missing_venv_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "missing_packages", lambda: ["python3-venv"])
    assert check("system libraries").found == "without Python's venv"


def test_mxnet_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda package: "2.1.0" if package == "numpy" else "")
    assert (check("MXNet").status, check("MXNet").cure) == ("missing", install_command("train"))
    assert check("NumPy").status == "limited"


@pytest.mark.parametrize("name", ["mxnet", "mxnet-cu112"])
def test_mxnet_that_does_not_import(monkeypatch, name):
    monkeypatch.setattr(doctor, "version", lambda package: {"numpy": "1.26.4", name: "1.9.1"}.get(package, ""))
    monkeypatch.setattr(doctor, "_probe", lambda code: "crashed with signal 11")
    assert check("MXNet").found == f"{name} 1.9.1: crashed with signal 11"
    assert "reinstall it" in check("MXNet").cure


def test_gpu_that_mxnet_cannot_use(monkeypatch):
    monkeypatch.setattr(doctor, "list_gpus", lambda: [H200, A100])
    gpu = check("gpu:0")
    assert gpu.found == "H200, 141 GiB, compute capability 9.0"
    assert gpu.status == "limited"
    assert "Train on the CPU" in gpu.cure


def test_gpu_wants_the_cuda_wheel(monkeypatch):
    monkeypatch.setattr(doctor, "list_gpus", lambda: [A100])
    assert "train-gpu" in check("gpu:0").cure
    monkeypatch.setattr(doctor, "version", lambda package: "1.9.1")
    assert check("gpu:0").status == "ok"


def test_onnxruntime_on_the_gpu(monkeypatch):
    monkeypatch.setattr(doctor, "list_gpus", lambda: [A100])
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    name = "onnxruntime on the GPU"
    assert check(name).found == "this onnxruntime is built without CUDA"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert check(name).status == "ok"
    monkeypatch.setattr(doctor, "_probe", lambda code: "OSError: libcudnn.so.9: cannot open")
    assert (check(name).status, check(name).found) == ("missing", "OSError: libcudnn.so.9: cannot open")


def test_onnxruntime_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(doctor, "list_gpus", lambda: [A100])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert check("onnxruntime").status == check("onnxruntime on the GPU").status == "missing"


def test_cores_and_quota(monkeypatch):
    monkeypatch.setattr(doctor, "usable_cpus", lambda: 2)
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(doctor, "cgroup_quota", lambda: 1.5)
    assert check("CPU cores").found == "2 of 64, quota 1.5"
    monkeypatch.setattr(doctor, "cgroup_quota", lambda: None)
    assert check("CPU cores").found == "2 of 64"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("pass", ""),
        ("import warnings; warnings.warn('noise')", ""),
        ("raise OSError('libx.so: cannot open')", "OSError: libx.so: cannot open"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed with signal 11"),
        ("import sys; sys.exit(3)", "exit status 3"),
    ],
)
def test_probe(code, problem, monkeypatch):
    monkeypatch.undo()
    assert doctor._probe(code) == problem


def test_probe_that_hangs(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "PROBE_SECONDS", 0.2)
    assert doctor._probe("import time; time.sleep(60)") == "no answer in 0.2 s"


def test_looking_for_mxnet_does_not_import_it():
    code = "import sys; from serve_cli.diagnosis import examine; examine(); assert 'mxnet' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
