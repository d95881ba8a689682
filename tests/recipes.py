"""The recipes of docs/databases.md."""

import re
import shlex
from pathlib import Path

import pytest

from serve_cli.cli.shared_options import SOME_FAILED
from tests.serve_cli.embedded import batches, write_folder

TEXT = (Path(__file__).parent.parent / "docs/databases.md").read_text()
FAILED = 3  # row without an embedding
ROWS = [row for row in range(40) if row != FAILED]


def write_rows(folder):
    """Rows 0 to 39; embedding i is [i, i + 0.25, ...] of 8 numbers, so distances are |i - j| * sqrt(8)."""
    write_folder(folder, batches(40, bad=(FAILED,)), rows_per_file=25)


def recipe(heading, language="python"):
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [code for kind, code in re.findall(r"```(\w*)\n(.*?)```", section, re.DOTALL) if kind == language]


def run(heading, replaced=()):
    """Run a recipe's code, with some of its words replaced, and return its names."""
    names: dict[str, object] = {}
    code = recipe(heading)[0]
    for word, value in replaced:
        assert word in code
        code = code.replace(word, value)
    exec(code, names)
    return names


def load(heading, monkeypatch, word, value):
    """Run a recipe's `lifted load` into another database."""
    from serve_cli.cli.main import main

    words = shlex.split(recipe(heading, "")[0])
    assert words[:2] == ["lifted", "load"]
    monkeypatch.setattr("sys.argv", [part.replace(word, value) for part in words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == SOME_FAILED
