"""`make docs`: the site builds without a warning, and its pages load nothing from elsewhere."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.documents import ROOT

for package in ("sphinx", "furo", "myst_parser"):
    pytest.importorskip(package, reason="the site needs the extra docs")

LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]+src=\"(?:https?:)?//|<link[^>]+href=\"(?:https?:)?//|url\([\"']?https?:"
)
PARTS = [
    ("docs/reference/commands.html", "--num-tasks"),
    ("docs/reference/python.html", "gluon_lifted.LiftedStructureLoss"),
    ("docs/reference/losses.html", "multi-similarity"),
    ("docs/reference/metrics.html", "</math>"),
    ("export/OPERATORS.html", "BatchNorm"),
    ("benchmarks/results/recall.html", "faiss"),
    ("index.html", "docs/index.html"),
]


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    line = re.search(r"^docs:.*\n\t\S+/python (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    words = shlex.split(line.replace("build/", f"{tmp_path}/"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    made = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stderr) == (0, "")
    site = tmp_path / "site"
    for page, text in PARTS:
        assert text in (site / page).read_text(), page
    loading = [page for page in (*site.rglob("*.html"), *site.rglob("*.css")) if LOADED.search(page.read_text())]
    assert loading == []
