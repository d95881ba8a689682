import io
import json
from contextlib import nullcontext

import numpy as np
import pytest

from gluon_lifted.errors import DataError
from serve_cli.cli.index_updates import read_ids
from serve_cli.cli.main import main
from serve_cli.retrieval.index import update
from serve_cli.retrieval.index.build import build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from tests.serve_cli.retrieval.index.catalogs import write_embeddings


@pytest.fixture
def index(tmp_path):
    """An index of ``0.jpg`` to ``9.jpg``."""
    build_index(write_embeddings(tmp_path / "first", np.eye(10, dtype=np.float32)), tmp_path / "i")
    return str(tmp_path / "i")


@pytest.fixture
def run(monkeypatch):
    """Run `lifted index` in this process, and return its exit status."""

    def run_index(*arguments):
        monkeypatch.setattr("sys.argv", ["lifted", "index", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return run_index


def test_changes(run, index, tmp_path, capsys):
    more = write_embeddings(tmp_path / "more", np.ones((3, 10), np.float32), ids=["a", "b", "3.jpg"], failed=(1,))
    assert run(index, "--replace", more, "--json") == 3
    shown = json.loads(capsys.readouterr().out)
    assert shown == {
        **{"index": index, "rows": 11, "added": 2, "deleted": 1, "failed": 1, "not_finite": 0, "repeated": 0},
        **{"missing": 0, "segments": 2, "rebuild": None},
    }
    assert run(index, "--delete", "a,4.jpg,x", "--missing-ok") == 0
    assert "deleted" in capsys.readouterr().out
    assert run(index, "--add", tmp_path / "first") == 1
    assert "Use --replace" in capsys.readouterr().err
    assert CatalogIndex.open(index).rows == 9


@pytest.mark.parametrize("option", ["--add", "--replace"])
def test_memory_and_threads_reach_the_update(run, index, tmp_path, capsys, monkeypatch, option):
    used = []
    monkeypatch.setattr(update, "threads", lambda count: used.append(count) or nullcontext())
    more = write_embeddings(tmp_path / "more", np.ones((2, 10), np.float32), ids=["a", "b"])
    assert run(index, option, more, "--max-memory", "100MB") == 1
    message = (
        "adding 2 rows needs 157 MB of memory, but may use only 100 MB; allow more with --max-memory, or embed and add"
    )
    assert message in capsys.readouterr().err
    assert CatalogIndex.open(index).rows == 10
    assert run(index, option, more, "--max-memory", "200MB", "--threads", "3") == 0
    assert (used, CatalogIndex.open(index).rows) == ([None, 3], 12)


def test_a_rebuild_is_advised(run, index, capsys):
    assert run(index, "--delete", "1.jpg,2.jpg,3.jpg", "--json") == 0
    output = capsys.readouterr()
    sentence = "30% of its rows are deleted and still take time; build it again for faster searches"
    assert json.loads(output.out)["rebuild"].startswith(sentence)
    assert sentence in output.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--add", "a", "--delete", "b"], "give one of --add, --delete and --replace"),
        (["--missing-ok"], "applies to --delete only"),
        (["--delete", "b", "--out", "c"], "does not apply to this change of an index"),
        (["--delete", "b", "--threads", "2"], "does not apply to this change of an index"),
        (["--delete", "b", "--dry-run"], "does not apply to this change of an index"),
        (["--delete", "b,,c"], "empty name"),
    ],
)
def test_usage(run, index, line, message, capsys):
    assert run(index, *line) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_no_index_to_change(run, capsys):
    assert run("--delete", "b") == 2
    assert "give the index to change" in capsys.readouterr().err


def test_ids(tmp_path, monkeypatch):
    assert read_ids('7.jpg,"a,b.jpg",ü') == ["7.jpg", "a,b.jpg", "ü"]
    (tmp_path / "ids.txt").write_bytes("\ufeffa,b.jpg\r\n\n c \r\n@x\nü".encode())
    assert read_ids(f"@{tmp_path / 'ids.txt'}") == ["a,b.jpg", " c ", "@x", "ü"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    assert read_ids("@-") == ["a", "b"]
    with pytest.raises(DataError, match=r"none.txt: cannot be read .* one id per line"):
        read_ids("@none.txt")
    (tmp_path / "latin.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match="is not UTF-8"):
        read_ids(f"@{tmp_path / 'latin.txt'}")
