"""Searches of catalogs of another distance, and of odd queries."""

import numpy as np
import pytest

from gluon_lifted.images import DecodeLimits
from serve_cli.http.parsing.search_request import RowId, SearchRequest, WeightedQuery
from serve_cli.http.search_index import IndexSearch
from tests.serve_cli.http.parsing.refusals import refused
from tests.serve_cli.retrieval.search.made import DIM, made_catalog, plain_search


@pytest.fixture(params=["euclidean", "cosine"])
def made(request, tmp_path):
    catalog, vectors, _ = made_catalog(tmp_path, distance=request.param)
    return IndexSearch.of(catalog, DecodeLimits()), vectors, request.param


def test_rows_and_distances_by_plain_loops(made):
    search, vectors, distance = made
    query = np.arange(DIM, dtype=np.float32) - 1.5
    matches = search.search(SearchRequest([WeightedQuery(query)], k=7), [])
    rows, distances = plain_search(vectors, query, 7, distance)
    assert [match["id"] for match in matches] == [f"{row}.jpg" for row in rows]
    np.testing.assert_allclose([match["distance"] for match in matches], distances, rtol=1e-5)


def test_embeddings_go_to_the_queries_that_are_images(made):
    """An image between an id and a vector."""
    search, vectors, distance = made
    queries = [WeightedQuery(RowId("1.jpg")), WeightedQuery(b"image"), WeightedQuery(vectors[9], -1.0)]
    matches = search.search(SearchRequest(queries, k=5), [vectors[2]])

    def unit(vector):
        return vector / sum(x * x for x in vector) ** 0.5 if distance == "cosine" else vector

    wide = vectors.astype(np.float64)
    combined = (unit(wide[1]) + unit(wide[2])) / 2 - unit(wide[9])
    rows, _ = plain_search(vectors, combined, 6, distance)
    assert [match["id"] for match in matches] == [f"{row}.jpg" for row in rows if row != 1][:5]


def test_a_query_of_zeros(made):
    search, _, _ = made
    assert len(search.search(SearchRequest([WeightedQuery(np.zeros(DIM, np.float32))], k=3), [])) == 3


def test_values_that_json_lacks(made):
    search, vectors, _ = made
    matches = search.search(SearchRequest([WeightedQuery(vectors[0])], k=60, columns=("price", "sha256")), [])
    assert {match["columns"]["price"] for match in matches} == {None if i % 7 == 0 else i for i in range(60)}


def test_an_id_that_does_not_exist(made):
    with refused(404, "no row with the id '60.jpg'"):
        made[0].search(SearchRequest([WeightedQuery(RowId("60.jpg"))]), [])
