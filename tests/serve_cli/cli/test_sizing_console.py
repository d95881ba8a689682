import json

import pytest

from serve_cli.cli.main import main
from serve_cli.cli.sizing_console import print_plan


def test_tables_fit_a_narrow_console(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    print_plan(10**9, 512, "float32", 64 * 10**9, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert "1,000,000,000 embeddings of 512 numbers, float32" in lines[0]
    heads = [words[0] for words in map(str.split, lines) if words and words[-1] in ("time", "to", "hosts")]
    assert heads == [
        "engine",
        "device",
        "index",
        "database",
    ]  # a table that does not fit is split
    assert max(map(len, lines)) <= 80


def test_json_has_numbers(capsys):
    print_plan(1_000_000, 128, "int8", 64 * 10**9, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["parquet"] == 1_000_000 * (128 * 1.5 + 4 + 100)
    assert shown["engine"] == "IVF4096,PQ64x4fs"
    assert [index["kind"] for index in shown["indexes"]] == ["exact", "IVF4096,PQ64x4fs", "IVF4096,SQ8", "IVF4096,Flat"]


def lifted(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["lifted", "index", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


def test_the_command_takes_sizes(capsys, monkeypatch):
    words = ("--plan", "100000", "--dim", "128", "--dtype", "float16", "--memory", "2GiB", "--json")
    assert lifted(monkeypatch, *words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["rows"], shown["dim"], shown["dtype"], shown["memory"]) == (100_000, 128, "float16", 2 << 30)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "give a folder of embeddings, or --plan"),
        (("embeddings", "--plan", "5"), 2, "leave EMBEDDINGS out"),
        (("--plan", "9999999999999"), 1, "expected 1 to 1,000,000,000,000"),
    ],
)
def test_wrong_uses_are_explained(words, code, message, capsys, monkeypatch):
    assert lifted(monkeypatch, *words) == code
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
