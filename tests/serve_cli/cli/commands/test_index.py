import json
import sys

import numpy as np
import pytest

from serve_cli.cli.main import main
from serve_cli.retrieval.index.catalog import CatalogIndex
from tests.serve_cli.retrieval.index.catalogs import write_embeddings

VECTORS = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)


@pytest.fixture
def lifted(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lifted", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


def test_an_exact_index(lifted, tmp_path):
    source = write_embeddings(tmp_path / "a", VECTORS)
    status, out, err = lifted("index", source, "--out", tmp_path / "i", "--json")
    facts = json.loads(out)
    assert (status, facts["rows"], facts["kind"], facts["recall"]) == (0, 300, "exact", 1.0)
    assert "300 rows of 8: exact, " in err  # told beforehand
    assert CatalogIndex.open(tmp_path / "i").rows == 300
    status, _, err = lifted("index", source, "--out", tmp_path / "i")
    assert (status, "replace it with --overwrite" in err) == (1, True)


def test_inverted_lists(lifted, tmp_path):
    pytest.importorskip("faiss")
    source = write_embeddings(tmp_path / "a", VECTORS, failed=[5])
    status, out, _ = lifted(
        "index", source, "--out", tmp_path / "i", "--factory", "IVF8,Flat", "--target-recall", 0.8, "--json"
    )
    facts = json.loads(out)
    assert (status, facts["rows"], facts["failed"], facts["target_recall"]) == (3, 299, 1, 0.8)
    assert 0.8 <= facts["recall"] < 1
    assert facts["search"]["effort"] < 8


def test_a_dry_run_writes_nothing(lifted, tmp_path):
    source = write_embeddings(tmp_path / "a", VECTORS)
    status, out, _ = lifted("index", source, "--out", tmp_path / "i", "--dry-run")
    assert status == 0
    assert out.startswith("300 rows of 8: exact, ")
    assert not (tmp_path / "i").exists()
    _, out, _ = lifted("index", source, "--out", tmp_path / "i", "--dry-run", "--json", "--factory", "IVF8,SQ8")
    assert json.loads(out)["kind"] == "IVF8,SQ8"


def test_too_little_memory(lifted, tmp_path):
    source = write_embeddings(tmp_path / "a", VECTORS)
    status, _, err = lifted("index", source, "--out", tmp_path / "i", "--max-memory", "1MB")
    assert status == 1
    assert "may use only 1 MB; allow more with --max-memory" in err
