import json
import re

import numpy as np
import pytest

from serve_cli.cli.main import main
from tests.serve_cli.retrieval.index.catalogs import write_embeddings


@pytest.fixture
def build(monkeypatch, tmp_path, capsys):
    """Run `lifted index` on ten rows, of which one failed; return its exit status and standard output."""
    write_embeddings(tmp_path / "embeddings", np.eye(10, dtype=np.float32), failed=(3,))
    monkeypatch.chdir(tmp_path)

    def build_index(*options):
        monkeypatch.setattr("sys.argv", ["lifted", "index", "embeddings", "--out", "my index", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().out

    return build_index


@pytest.mark.parametrize(
    ("options", "kind"), [((), "exact"), (("--factory", "IVF1,Flat"), "IVF1,Flat, recall@10 1.000, target 0.95")]
)
def test_the_summary_says_what_was_left_out_and_what_comes_next(build, options, kind):
    status, shown = build(*options)
    facts = dict(re.split("  +", line.strip(), maxsplit=1) for line in shown.splitlines())
    assert status == 3
    assert facts == {
        "index": "my index, 0.0 MB",
        "rows": "9 of 10 numbers",
        "left out": "1 without an embedding",
        "kind": kind,
        "distance": "euclidean",
        "next": "lifted serve 'my index'",
    }


def test_json_has_the_search_parameters(build):
    status, shown = build("--json")
    values = json.loads(shown)
    assert (status, values["rows"], values["failed"], values["recall"], values["target_recall"]) == (3, 9, 1, 1.0, None)
    assert values["search"]
