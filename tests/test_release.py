"""What a release publishes: its packages, built and installed as a stranger would, and the files around them."""

import os
import re
import shlex
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from gluon_lifted import __version__

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).parent.parent
PACKAGES = {"gluon_lifted", "export", "serve_cli"}
TEMPLATES = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[0-9]*.yml"))
TIMEOUT_S = 280


def run(*words, cwd):
    """Run a program that does not see this checkout."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(words, cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)


def require_success(result):
    assert result.returncode == 0, f"{result.args}:\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
    return result.stdout


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Skip where pip reaches no package registry, which has the build backend and the dependencies."""
    folder = tmp_path_factory.mktemp("registry")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "0")
    if run(*pip, "download", "--quiet", "--no-deps", "--dest", ".", "hatchling", cwd=folder).returncode:
        pytest.skip("no package registry can be reached")


@pytest.fixture(scope="module")
def packages(registry, tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    for tool in ("build", "twine"):
        if find_spec(tool) is None:
            pytest.skip(f"{tool} is not installed")
    out = tmp_path_factory.mktemp("dist")
    require_success(run(sys.executable, "-m", "build", "--outdir", str(out), str(ROOT), cwd=out))
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


def files(package):
    """The files that git knows of a package."""
    return set(run("git", "ls-files", package, cwd=ROOT).stdout.splitlines())


@pytest.mark.slow
def test_twine_accepts_both(packages):
    printed = require_success(run(sys.executable, "-m", "twine", "check", "--strict", *map(str, packages), cwd=ROOT))
    assert printed.count("PASSED") == 2


@pytest.mark.slow
def test_the_wheel_has_the_three_packages_with_all_their_files(packages):
    _, wheel = packages
    assert wheel.name.startswith(f"gluon_lifted-{__version__}-")
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in inside} == PACKAGES
    tracked = set().union(*map(files, PACKAGES))
    if not tracked:
        pytest.skip("not a git checkout")
    assert inside == tracked
    assert {Path(name).suffix for name in inside} >= {".py", ".pyi", ".typed", ".j2", ".css", ".js", ".md"}


@pytest.mark.slow
def test_the_sdist_has_what_the_tests_need_and_nothing_else(packages):
    sdist, _ = packages
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    tracked = {line for line in files(".") if line not in (".gitignore",)}
    if not tracked:
        pytest.skip("not a git checkout")
    assert names - {"PKG-INFO", ".gitignore"} == tracked


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment(packages, tmp_path):
    _, wheel = packages
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / "bin" / "python")
    pinned = ROOT / ".ci/constraints-serve.txt"
    require_success(run(python, "-m", "pip", "install", "--quiet", "-c", str(pinned), str(wheel), cwd=tmp_path))
    printed = require_success(run(str(tmp_path / "env/bin/lifted"), "--help", cwd=tmp_path))
    assert "embed" in printed
    assert require_success(run(str(tmp_path / "env/bin/lifted"), "--version", cwd=tmp_path)).split()[-1] == __version__
    code = "import serve_cli, export, gluon_lifted; print(serve_cli.read_embeddings.__name__, gluon_lifted.__file__)"
    name, file = require_success(run(python, "-c", code, cwd=tmp_path)).split()
    assert name == "read_embeddings"
    assert file.startswith(str(tmp_path))


def test_all_files_name_the_same_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == "Apache-2.0"
    assert f"\n## {__version__} (" in (ROOT / "CHANGELOG.md").read_text()
    assert f"/lifted:{__version__}\n" in (ROOT / "docs/recipes/kubernetes.yaml").read_text()
    release = (ROOT / "docs/contributing/release.md").read_text()
    assert set(re.findall(r"(?:lifted:|v)(\d+\.\d+\.\d+)", release)) == {__version__}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_issue_templates_ask_for_what_the_commands_print(template):
    from serve_cli.cli.main import app

    text = template.read_text()
    fields = yaml.safe_load(text)["body"]
    assert fields[-1]["attributes"]["label"] == "The output of lifted doctor --json"
    group = typer.main.get_command(app)
    for words in map(shlex.split, re.findall(r"\blifted (?:doctor --json|inspect \S+ --params [\w.-]+)", text)):
        group.commands[words[1]].make_context(words[1], words[2:])
    named = set(re.findall(r"\blifted (\w+)", text))
    assert named <= set(group.commands)


def test_there_are_issue_templates():
    assert len(TEMPLATES) == 3
