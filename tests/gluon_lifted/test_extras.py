"""The optional packages: their names as in pyproject.toml, and commands that install them."""

import re
from pathlib import Path

import pytest

from gluon_lifted import extras
from gluon_lifted.errors import MissingPackageError
from gluon_lifted.extras import CHECKOUT, MODULES, install_command, require_extras

PACKAGE_OF_MODULE = {"sklearn": "scikit-learn"}


def test_the_modules_are_those_of_the_extras():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    def packages(extra):
        for line in declared[extra]:
            name = re.match(r"[\w-]+", line)[0]
            if name == "gluon-lifted":
                for inner in re.search(r"\[(.*)\]", line)[1].split(","):
                    yield from packages(inner)
            else:
                yield name

    for extra, modules in MODULES.items():
        needed = {PACKAGE_OF_MODULE.get(module, module.replace("_", "-")) for module in modules}
        assert needed <= set(packages(extra)), extra


def test_a_checkout_installs_itself(monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(extras, "CHECKOUT", tmp_path)
    assert install_command("export", "report") == f"pip install -e '{tmp_path}[export,report]'"


@pytest.mark.parametrize(
    ("record", "requirement"),
    [
        (None, "gluon-lifted[export]"),
        ("damaged", "gluon-lifted[export]"),
        ('{"url": "file:///a/b.whl", "archive_info": {}}', "gluon-lifted[export] @ file:///a/b.whl"),
        (
            '{"url": "https://host/it", "vcs_info": {"vcs": "git", "commit_id": "12ab"}}',
            "gluon-lifted[export] @ git+https://host/it@12ab",
        ),
    ],
)
def test_an_installed_package_installs_from_its_origin(monkeypatch, tmp_path, record, requirement):
    class Distribution:
        def read_text(self, name):
            return record

    monkeypatch.setattr(extras, "CHECKOUT", tmp_path)
    monkeypatch.setattr(extras.metadata, "distribution", lambda name: Distribution())
    assert install_command("export") == f"pip install '{requirement}'"


def test_all_missing_packages_are_named_at_once(monkeypatch):
    monkeypatch.setattr(extras.util, "find_spec", lambda name: Path if name == "onnx" else None)
    with pytest.raises(MissingPackageError, match=r"lifted demo needs packages .*: mxnet, gluoncv, onnxruntime, matpl"):
        require_extras("lifted demo", "train")
    monkeypatch.setattr(extras.util, "find_spec", lambda name: Path)
    require_extras("lifted demo", "train")


def test_only_the_extras_that_are_not_complete_are_installed(monkeypatch):
    monkeypatch.setattr(extras.util, "find_spec", lambda name: None if name == "uvicorn" else Path)
    with pytest.raises(MissingPackageError) as raised:
        require_extras("lifted serve", "serve", "http")
    assert str(raised.value).endswith(f"not installed: uvicorn. Install them: `{install_command('http')}`")
