"""Searches of a small catalog against plain loops: filters, limits, duplicates, and rows left out."""

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError, DataError
from serve_cli.retrieval.search.query import Query
from serve_cli.retrieval.search.query_sources import id_queries
from serve_cli.retrieval.search.search_options import SearchOptions
from serve_cli.retrieval.search.search_rows import RowSearch
from tests.serve_cli.retrieval.search.made import DIM, made_catalog, plain_search

ROWS = 60


@pytest.fixture(scope="module", params=["euclidean", "cosine"])
def made(request, tmp_path_factory):
    index, vectors, hashes = made_catalog(tmp_path_factory.mktemp("catalog"), ROWS, request.param)
    stored = index.vectors(np.arange(ROWS))
    if request.param == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(stored, vectors, rtol=1e-6)
    return index, stored, hashes


def queries_of(count):
    rng = np.random.default_rng(9)
    return [Query(f"q{number}", 3 * rng.normal(size=DIM).astype(np.float32)) for number in range(count)]


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("limit", [None, 0.5])
@pytest.mark.parametrize("where", [None, "price < 35 and brand <> 'z'", "price in (3, 31, 33, 4, 40)"])
@pytest.mark.parametrize("k", [1, 4, 25, 10**9])
def test_rows_and_distances_are_those_of_plain_loops(made, k, where, limit, unique):
    index, vectors, hashes = made
    allowed = set(range(ROWS))
    if where is not None:
        known = {row for row in allowed if row % 7}
        allowed = known & ({3, 31, 33, 4, 40} if " in " in where else {row for row in range(35) if row % 3 != 2})
    search = RowSearch(index, SearchOptions(k=k, where=where, max_distance=limit, unique=unique))
    near = Query("near", vectors[3] + np.array([0.1, 0.2, 0, 0], np.float32))
    for matches in search.search([*queries_of(3), near]):
        rows, distances = plain_search(
            vectors,
            matches.query.embedding,
            k,
            index.distance,
            hashes=hashes if unique else None,
            allowed=allowed,
            limit=limit,
        )
        assert matches.rows.tolist() == rows
        np.testing.assert_allclose(matches.distances, distances, rtol=1e-5, atol=1e-6)
        assert matches.ids == [f"{row}.jpg" for row in rows]


@pytest.mark.parametrize("include_self", [False, True])
def test_a_row_of_the_index_leaves_itself_out(made, include_self):
    index, vectors, _ = made
    search = RowSearch(index, SearchOptions(k=5))
    for row, matches in zip(
        (7, 8), search.search(id_queries(index, ["7.jpg", "8.jpg"], include_self=include_self)), strict=True
    ):
        expected, _ = plain_search(vectors, vectors[row], ROWS, index.distance)
        near = [other for other in expected if include_self or other != row][:5]
        assert sorted(matches.rows) == sorted(near)
        assert matches.query.label == f"class {row % 3}"


def test_all_rows_but_itself_where_k_is_larger(made):
    index, _, _ = made
    (matches,) = RowSearch(index, SearchOptions(k=ROWS)).search(id_queries(index, ["7.jpg"], include_self=False))
    assert sorted(matches.rows) == [row for row in range(ROWS) if row != 7]


def test_a_query_with_an_error_returns_nothing_and_others_go_on(made):
    index, _, _ = made
    bad = Query("bad.jpg", np.full(DIM, np.nan, np.float32), "cannot be read")
    good = queries_of(1)[0]
    results = RowSearch(index, SearchOptions(k=3)).search([bad, good, bad])
    assert [len(matches) for matches in results] == [0, 3, 0]
    assert [matches.error for matches in results] == ["cannot be read", None, "cannot be read"]


def test_columns_come_in_the_order_of_the_rows(made):
    index, _, _ = made
    (matches,) = RowSearch(index, SearchOptions(k=9, columns=("brand", "price", "id"))).search(queries_of(1))
    assert matches.table.column_names == ["id", "path", "label", "brand", "price"]
    for rank, (row, match) in enumerate(zip(matches.rows, matches, strict=True), 1):
        assert match[:1] + match[2:5] == (rank, f"{row}.jpg", f"/photos/{row}.jpg", f"class {row % 3}")
        assert match.columns == {"brand": "xyz"[row % 3], "price": row if row % 7 else None, "id": match.id}


def test_no_row_meets_the_condition(made):
    (matches,) = RowSearch(made[0], SearchOptions(where="price > 1000")).search(queries_of(1))
    assert (len(matches), matches.ids, list(matches)) == (0, [], [])


def test_what_is_refused(made):
    index, _, _ = made
    with pytest.raises(DataError, match=r"no column 'prise'; .* has id, path, label, price, brand, sha256"):
        RowSearch(index, SearchOptions(columns=("prise",)))
    with pytest.raises(DataError, match=r"has no rows with the ids 'x.jpg'"):
        id_queries(index, ["7.jpg", "x.jpg"], include_self=False)
    with pytest.raises(ConfigError, match=r"'7.jpg' is given twice"):
        id_queries(index, ["7.jpg", "8.jpg", "7.jpg"], include_self=False)
    with pytest.raises(DataError, match=r"5"):
        RowSearch(index, SearchOptions()).search([Query("wide", np.zeros(5, np.float32))])
    with pytest.raises(ConfigError, match="k is 0"):
        SearchOptions(k=0)
    for limit in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match="expected 0 or more"):
            SearchOptions(max_distance=limit)


def test_too_many_results(made, monkeypatch):
    monkeypatch.setattr("serve_cli.retrieval.search.search_rows.MAX_RESULTS", 50)
    with pytest.raises(ConfigError, match=r"k is 1,000,000,000; expected at most 50 of the 60 rows"):
        RowSearch(made[0], SearchOptions(k=10**9))
    RowSearch(made[0], SearchOptions(k=10**9, where="price < 40"))
