"""What the documents name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROOMS = re.compile(r"`((?:gluon_lifted|export|serve_cli|tests|docs|benchmarks)/[\w./-]*)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_exist(document):
    text = document.read_text()
    named = [ROOT / path for path in ROOMS.findall(text)]
    linked = [document.parent / path for path in re.findall(r"\]\(([\w./-]+)\)", text)]
    assert named or linked
    assert [path for path in (*named, *linked) if not path.exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_names_exist(document):
    """Classes and tables in backticks are words of the code."""
    code = "\n".join(
        path.read_text() for room in ("gluon_lifted", "export", "serve_cli") for path in ROOT.glob(f"{room}/**/*.py")
    )
    words = set(re.findall(r"\w+", code))
    names = re.findall(r"`([A-Z]\w+)`", document.read_text())
    assert [name for name in names if name not in words] == []
