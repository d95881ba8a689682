import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_lifted.hardware import system

SCRIPT = Path(system.__file__)


@pytest.fixture
def machine(monkeypatch):
    """A Linux host with every library, ensurepip and Python 3.11; returns the set of libraries to take away."""
    gone = set()

    def load(name):
        if name in gone:
            raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(system.ctypes, "CDLL", load)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(system.sys, "version_info", (3, 11, 7, "final", 0))
    return gone


def test_nothing_missing_says_nothing(machine, capsys):
    assert system.main() == 0
    assert capsys.readouterr().out == ""


def test_missing_libraries_give_one_apt_line(machine, capsys):
    machine |= {"libquadmath.so.0", "libglib-2.0.so.0", "libgthread-2.0.so.0"}
    assert system.missing_libraries() == ["libquadmath.so.0", "libglib-2.0.so.0", "libgthread-2.0.so.0"]
    assert system.main() == 1
    assert (
        capsys.readouterr().out
        == "System libraries are missing. Install them as root:\n  apt-get install -y libglib2.0-0 libquadmath0\n"
    )


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libquadmath.so.0", "libquadmath0"),
        ("libgomp.so.1", "libgomp1"),
        ("libGL.so.1", "libgl1"),
        ("libglib-2.0.so.0", "libglib2.0-0"),
        ("libgthread-2.0.so.0", "libglib2.0-0"),
    ],
)
def test_package_of_each_library(machine, library, package):
    machine.add(library)
    assert system.missing_packages() == [package]


def test_python_without_venv(machine, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert system.main() == 1
    assert (
        capsys.readouterr().out
        == "System libraries are missing. Install them as root:\n  apt-get install -y python3-venv\n"
    )


@pytest.mark.parametrize(("version", "fits"), [((3, 9), 0), ((3, 10), 1), ((3, 12), 1), ((3, 13), 0), ((2, 7), 0)])
def test_python_version(machine, monkeypatch, capsys, version, fits):
    monkeypatch.setattr(system.sys, "version_info", (*version, 0, "final", 0))
    assert system.main() == (0 if fits else 1)
    said = capsys.readouterr().out
    assert said == "" if fits else said.startswith("Python {}.{} cannot run MXNet".format(*version))
    assert said.count("\n") == (0 if fits else 1)


def test_libraries_are_looked_for_on_linux_alone(machine, monkeypatch):
    machine |= set(system.PACKAGE_OF_LIBRARY)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert system.missing_libraries() == []


def test_script_runs_by_itself_before_anything_is_installed():
    """Isolated: without site-packages, and not from the project's folder."""
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT)], capture_output=True, text=True, check=False, cwd="/"
    )
    assert run.stderr == ""
    assert run.returncode == (1 if run.stdout else 0)


def test_script_has_the_syntax_of_python_3_8_and_needs_the_standard_library_alone():
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 8))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)
