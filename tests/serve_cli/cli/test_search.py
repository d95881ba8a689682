"""`lifted search`: tables, JSON, pages, and what is refused."""

import json

import pytest

from tests.serve_cli.retrieval.search.shop import made_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    pytest.importorskip("onnxruntime", reason="serving needs onnxruntime")
    return made_shop(tmp_path_factory.mktemp("shop"))


def test_a_table(shop, lifted):
    status, stdout, stderr = lifted("search", shop.index, shop.photos / "0.png", "-k", 2, "--columns", "price,path")
    assert status == 0
    lines = [line.split() for line in stdout.splitlines() if line.strip()]
    assert lines[0] == [str(shop.photos / "0.png")]
    assert lines[1] == ["rank", "distance", "label", "id", "price", "path"]
    ranked = [line for line in lines if line[0] in "12"]
    assert sorted(line[4] for line in ranked) == ["photos/0.png", "photos/6.png"]
    assert {line[4]: line[5] for line in ranked} == {"photos/0.png": "0", "photos/6.png": "6"}
    assert "searched 8 rows in" in stderr


def test_json_and_lines_have_the_same_rows(shop, lifted):
    words = ("search", shop.index, shop.photos / "0.png", shop.photos / "none.png", "-k", 3, "--columns", "brand,price")
    status, stdout, stderr = lifted(*words, "--json")
    assert status == 3
    assert "none.png: cannot be read" in stderr
    queries = json.loads(stdout)["queries"]
    assert [query["error"] is None for query in queries] == [True, False]
    assert [match["rank"] for match in queries[0]["matches"]] == [1, 2, 3]
    assert queries[0]["matches"][2]["columns"].keys() == {"brand", "price"}
    assert queries[1]["matches"] == []
    status, stdout, _ = lifted(*words, "--jsonl")
    assert status == 3
    assert [json.loads(line) for line in stdout.splitlines()] == queries


def test_ids_and_conditions(shop, lifted):
    words = ("search", shop.index, "--ids", "photos/0.png,photos/1.png", "-k", 9, "--json")
    _, stdout, _ = lifted(*words, "--where", "price not in (1, 7) and brand = 'a'")
    first, second = json.loads(stdout)["queries"]
    assert [match["id"] for match in first["matches"]] == ["photos/3.png"]
    assert sorted(match["id"] for match in second["matches"]) == ["photos/0.png", "photos/3.png"]
    _, stdout, _ = lifted(*words, "--unique", "--include-self")
    assert [len(query["matches"]) for query in json.loads(stdout)["queries"]] == [6, 6]
    _, stdout, _ = lifted(*words, "--combine", "--without", shop.photos / "4.png")
    (query,) = json.loads(stdout)["queries"]
    assert query["query"] == "photos/0.png + photos/1.png - 4.png"
    assert {match["id"] for match in query["matches"]} == {f"photos/{number}.png" for number in range(2, 8)}


def test_a_condition_is_shown_with_a_caret(shop, lifted):
    status, _, stderr = lifted("search", shop.index, "--ids", "photos/0.png", "--where", "price < 5 and brnd = 'a'")
    assert status == 1
    text, caret, message = stderr.splitlines()
    assert text[caret.index("^") :] == "brnd = 'a'"
    assert message.startswith('lifted: error: --where, character 15: column brnd does not exist. Did you mean "brand"?')


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "give photographs, a folder of embeddings, or --ids"),
        (("a.png", "--ids", "b"), 2, "give photographs, a folder"),
        (("a.png", "--json", "--jsonl"), 2, "give one of --json, --jsonl and --html"),
        (("a.png", "--include-self"), 2, "applies to --ids only"),
        (("--ids", "a,,b"), 2, "has an empty name"),
        (("--ids", "none"), 1, "has no rows with the ids 'none'"),
        (("--ids", "photos/0.png", "--columns", "prise"), 1, "no column 'prise'"),
        (("--ids", "photos/0.png", "--max-distance", "-1"), 1, "expected 0 or more"),
        (("a.png", "--model", "none.onnx"), 1, "none.onnx"),
        (("*.nothing",), 1, "nothing"),
    ],
)
def test_what_is_refused(shop, lifted, words, status, message):
    refused, stdout, stderr = lifted("search", shop.index, *words)
    assert (refused, stdout) == (status, "")
    assert message in " ".join(stderr.replace("│", " ").split())


def test_a_folder_that_is_no_index(shop, lifted):
    status, _, stderr = lifted("search", shop.emb, shop.photos / "0.png")
    assert status == 1
    assert "Index them first: `lifted index" in stderr


def test_k_beyond_all_rows(shop, lifted):
    _, stdout, _ = lifted("search", shop.index, "--ids", "photos/0.png", "-k", 10**9, "--json")
    assert len(json.loads(stdout)["queries"][0]["matches"]) == 7


def test_a_page(shop, lifted, tmp_path):
    pytest.importorskip("jinja2", reason="Jinja2 is not installed")
    out = tmp_path / "page.html"
    words = ("search", shop.index, shop.photos / "0.png", "-k", 3, "--html", out)
    status, stdout, stderr = lifted(*words)
    assert (status, stdout) == (0, "")
    assert "with 4 pictures" in stderr
    assert "photos/6.png" in out.read_text("utf-8")
    assert lifted(*words, "https://u:s3cr3t@127.0.0.1:9/a.jpg?X-Amz-Signature=c0ffee")[0] == 3
    assert not any(word in out.read_text("utf-8") for word in ("s3cr3t", "c0ffee"))
    out.write_text("my notes")
    status, _, stderr = lifted(*words)
    assert status == 1
    assert "exists, but is not a page of a search; choose another --html" in stderr
    assert out.read_text() == "my notes"
    assert lifted(*words, "--overwrite")[0] == 0
    assert lifted(*words)[0] == 0  # a page of a search
