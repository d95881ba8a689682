"""The page of a search: pictures only from where they may come, hostile names as text, marks."""

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from gluon_lifted.errors import ConfigError
from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.retrieval.index.build import build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.update import add_rows
from serve_cli.retrieval.search.matches import Matches
from serve_cli.retrieval.search.page_pictures import PictureAccess
from serve_cli.retrieval.search.query import Query
from serve_cli.retrieval.search.query_sources import embedded_queries, id_queries, rows_of
from serve_cli.retrieval.search.search_options import SearchOptions
from serve_cli.retrieval.search.search_rows import RowSearch
from serve_cli.retrieval.search.write_page import PageOptions, write_search_page
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli.embedded import write_folder
from tests.serve_cli.photos import photo
from tests.serve_cli.report.made import HOSTILE, HOSTILE_STYLE

pytest.importorskip("jinja2", reason="Jinja2 is not installed")


def catalog(folder, paths, labels=None, source=None):
    """An index of images that may be anywhere, with made-up embeddings."""
    rows = [ImageRow(f"{number}", str(path), (labels or {}).get(number)) for number, path in enumerate(paths)]
    embedding = np.random.default_rng(0).normal(size=(len(rows), 8)).astype(np.float32)
    write_folder(
        folder / "emb", [EmbeddedRows(rows, embedding, [None] * len(rows))], source=source or folder / "photos"
    )
    build_index(folder / "emb", folder / "index")
    return CatalogIndex.open(folder / "index")


def written(index, queries, out, **access):
    options = SearchOptions(k=9)
    search = RowSearch(index, options)
    facts = write_search_page(
        index, search.search(queries), options, search.available, PageOptions(out=out, access=PictureAccess(**access))
    )
    return facts, out.read_text("utf-8")


def keys(page):
    return set(re.findall(r'<symbol id="t(-?\d+)"', page))


def test_pictures_come_only_from_the_source_or_from_roots(tmp_path):
    inside, outside = photo(tmp_path / "photos" / "a.png"), photo(tmp_path / "secret" / "b.png")
    (tmp_path / "photos" / "link.png").symlink_to(outside)
    paths = [
        inside,
        outside,
        tmp_path / "photos" / "link.png",
        "http://127.0.0.1:9/c.png",
        tmp_path / "photos" / "no.png",
    ]
    index = catalog(tmp_path, paths)
    facts, page = written(index, id_queries(index, ["0"], include_self=True), tmp_path / "page.html")
    assert keys(page) == {"0"}  # the query's own picture, too, is outside: no source is known of it
    assert sum(reason.pictures for reason in facts.not_shown) == 5
    assert "--root DIR shows" in page
    facts, page = written(
        index, id_queries(index, ["0"], include_self=True), tmp_path / "page.html", roots=(tmp_path / "secret",)
    )
    assert keys(page) == {"1", "2"}


def test_photographs_that_the_caller_named_are_shown(tmp_path):
    index = catalog(tmp_path, [tmp_path / "photos" / "none.png"])
    (row,) = rows_of(str(photo(tmp_path / "mine" / "q.png")))
    query = Query(row.id, np.ones(8, np.float32), image=row)
    _, page = written(index, [query], tmp_path / "page.html")
    assert keys(page) == {"-1"}
    assert "Query: q.png" in page
    assert "mine" not in page  # the folders are nobody's business


def test_rows_of_another_embedding_folder_are_read_below_its_own_source(tmp_path):
    index = catalog(tmp_path, [photo(tmp_path / "photos" / "a.png")])
    other = photo(tmp_path / "others" / "b.png")
    rows = [ImageRow("b", str(other)), ImageRow("a", str(tmp_path / "photos" / "a.png"))]
    write_folder(
        tmp_path / "emb2", [EmbeddedRows(rows, np.ones((2, 8), np.float32), [None] * 2)], source=tmp_path / "others"
    )
    queries = list(embedded_queries(index, EmbeddingStream(tmp_path / "emb2")))
    _, page = written(index, queries, tmp_path / "page.html")
    assert keys(page) == {"0", "-1"}


def test_rows_that_were_added_are_read_below_their_own_source(tmp_path):
    index = catalog(tmp_path, [photo(tmp_path / "photos" / "a.png"), tmp_path / "later" / "b.png"])
    rows = [
        ImageRow("b", str(photo(tmp_path / "later" / "b.png"))),
        ImageRow("a", str(tmp_path / "photos" / "a.png")),
    ]
    later = EmbeddedRows(rows, np.ones((2, 8), np.float32), [None] * 2)
    write_folder(tmp_path / "emb2", [later], source=tmp_path / "later")
    add_rows(tmp_path / "index", tmp_path / "emb2")
    _, page = written(CatalogIndex.open(index.path), [Query("q", np.ones(8, np.float32))], tmp_path / "page.html")
    assert keys(page) == {"0", "2"}


def test_hostile_names_are_only_text(tmp_path):
    index = catalog(tmp_path, [HOSTILE, "b"], {0: HOSTILE, 1: HOSTILE_STYLE})
    query = Query(HOSTILE, np.ones(8, np.float32), label=HOSTILE_STYLE)
    bad = replace(query, error=HOSTILE, embedding=np.full(8, np.nan, np.float32))
    _, page = written(index, [query, bad], tmp_path / "page.html")
    body = page.split("</style>", 1)[1]
    assert "<img" not in body
    assert "<script" not in page
    assert "{{" in body
    assert body.count("onload=alert(2)") == body.count("&lt;svg onload=alert(2)")


def test_the_policy_allows_only_the_own_style(tmp_path):
    index = catalog(tmp_path, ["a"])
    _, page = written(index, id_queries(index, ["0"], include_self=True), tmp_path / "page.html")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    own = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{own}'; base-uri 'none'; form-action 'none'"
    )


def test_marks_where_labels_are_known(tmp_path):
    index = catalog(tmp_path, ["a", "b", "c"], {0: "cat", 1: "dog"})
    _, page = written(index, [Query("q", np.ones(8, np.float32), label="cat")], tmp_path / "page.html")
    assert sorted(re.findall(r'<li class="(\w+)"', page)) == ["plain", "right", "wrong"]
    _, page = written(index, [Query("q", np.ones(8, np.float32))], tmp_path / "page.html")
    assert set(re.findall(r'<li class="(\w+)"', page)) == {"plain"}
    assert 'class="mark right"' not in page


def test_too_many_pictures(tmp_path):
    index = catalog(tmp_path, ["a"])
    nothing = pa.table({"id": [], "path": [], "label": []})
    empty = Matches(Query("q", np.ones(8, np.float32)), np.empty(0, np.int64), np.empty(0, np.float32), nothing)
    with pytest.raises(ConfigError, match=r"5,001 pictures; expected at most 5,000"):
        write_search_page(index, [empty] * 5001, SearchOptions(), 1, PageOptions(out=tmp_path / "page.html"))
