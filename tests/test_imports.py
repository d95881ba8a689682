"""Which modules an import loads, seen by a fresh Python."""

import json
import pydoc
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

HEAVY = {
    *("numpy", "PIL", "scipy", "sklearn", "matplotlib", "tensorboardX", "pyarrow", "yaml", "jinja2"),
    *("onnx", "onnxruntime", "mxnet", "gluoncv"),
}
FRAMEWORKS = {"mxnet", "gluoncv"}


def loaded(code):
    """Top-level names in `sys.modules` after ``code``."""
    report = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(run.stdout))


FORKS = """
import importlib, json, os, sys
import numpy, PIL.Image, pyarrow, pyarrow.parquet
for module in sys.argv[1:]:
    if (child := os.fork()) == 0:
        importlib.import_module(module)
        print(json.dumps([module, sorted({name.partition(".")[0] for name in sys.modules})]), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, module
"""


def loaded_by_each(modules):
    """Top-level names in `sys.modules` after each import, of processes that share the start and NumPy alone."""
    command = [sys.executable, "-c", FORKS, *modules]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return {module: set(names) for module, names in map(json.loads, run.stdout.splitlines())}


@pytest.mark.parametrize(
    "package", ["gluon_lifted", "export", "serve_cli", "serve_cli.cli.main", "serve_cli.cli.console"]
)
def test_importing_a_package_loads_nothing_heavy(package):
    assert loaded(f"import {package}") & HEAVY == set()


@pytest.mark.parametrize("module", ["config.train_config", "datasets.known_datasets", "losses.known_losses"])
def test_declarations_load_nothing_heavy(module):
    assert loaded(f"import gluon_lifted.{module}") & HEAVY == set()


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from serve_cli.cli.main import app; sys.argv = ['lifted', '--help']\n"
        "sys.stdout, real = sys.stderr, sys.stdout\n"
        "try: app()\n"
        "except SystemExit: sys.stdout = real"
    )
    assert loaded(code) & HEAVY == set()


WITHOUT_MXNET = [
    "serve_cli.embed.embed_images",
    "serve_cli.evaluate.eval_steps",
    "serve_cli.evaluate.published",
    "serve_cli.inspection",
    "serve_cli.report.write",
    "serve_cli.diagnosis",
    "gluon_lifted.batches.samplers",
    "gluon_lifted.card",
    "gluon_lifted.distributed",
    "gluon_lifted.datasets",
    "gluon_lifted.images",
    "gluon_lifted.devices",
    "gluon_lifted.metrics.baselines",
    "gluon_lifted.metrics.bootstrap",
    "gluon_lifted.metrics.clustering",
    "gluon_lifted.metrics.intervals",
    "gluon_lifted.metrics.partitions",
    "gluon_lifted.metrics.retrieval",
    "gluon_lifted.networks.pretrained.read_weights",
    "gluon_lifted.logs.run_log",
    "gluon_lifted.config.resolve",
    "gluon_lifted.training.run",
]


def test_serving_and_exporting_import_neither_mxnet_nor_scipy():
    exporting = ["export.pipeline"] if find_spec("onnx") else []
    loaded = loaded_by_each([*WITHOUT_MXNET, *exporting])
    assert len(loaded) >= len(WITHOUT_MXNET)
    assert {module for module, names in loaded.items() if names & FRAMEWORKS} == set()
    assert {module for module, names in loaded.items() if "scipy" in names} == set()


WITHOUT_ONNX = [
    "card",
    "datasets",
    "files",
    "images",
    "hardware.gpus",
    "metrics.baselines",
    "metrics.retrieval",
    "training.run",
]


def test_gluon_lifted_knows_nothing_of_onnx():
    loaded = loaded_by_each([f"gluon_lifted.{module}" for module in WITHOUT_ONNX])
    assert len(loaded) == len(WITHOUT_ONNX)
    assert {
        module for module, names in loaded.items() if names & {"onnx", "onnxruntime", "export", "serve_cli"}
    } == set()


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("serve_cli", "Embedder"),
        ("serve_cli", "read_embeddings"),
        ("gluon_lifted", "ModelCard"),
        ("gluon_lifted", "Search"),
        ("gluon_lifted", "ami"),
    ],
)
def test_public_names_come_when_they_are_asked_for(package, name):
    module = __import__(package)
    assert name in dir(module)
    assert getattr(module, name).__name__ == name
    with pytest.raises(AttributeError, match="attribute nonsense"):
        module.nonsense  # noqa: B018


@pytest.mark.parametrize("package", ["gluon_lifted", "export", "serve_cli"])
def test_help_shows_the_public_names(package):
    for library in ("onnx", "mxnet"):
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed, which some of the names need")
    module = __import__(package)
    text = pydoc.plaintext.document(module)
    assert all(re.search(rf"\b{name}\b", text) for name in module.__all__)
