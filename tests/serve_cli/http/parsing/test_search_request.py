import json

import numpy as np
import pytest

from serve_cli.http.parsing.image_text import ImageUrl
from serve_cli.http.parsing.search_request import RowId, SearchLimits, parse_search
from tests.serve_cli.http.parsing.refusals import refused
from tests.serve_cli.http.parsing.test_multipart import form, part

LIMITS = SearchLimits(k=100, queries=3, dim=2)
MULTIPART = "multipart/form-data; boundary=xyz"


def parse(**fields):
    return parse_search(json.dumps(fields).encode(), "application/json", {}, LIMITS)


def of(*queries, **options):
    return parse(queries=list(queries), **options)


def test_queries_of_each_kind():
    asked = of({"image": "QUJD"}, {"id": "a/b.jpg", "weight": -0.5}, {"vector": [1, 2.5]})
    assert [query.source for query in asked.queries[:2]] == [b"ABC", RowId("a/b.jpg")]
    assert [query.weight for query in asked.queries] == [1, -0.5, 1]
    np.testing.assert_array_equal(asked.queries[2].source, np.array([1, 2.5], np.float32))
    assert of({"url": "http://a/b"}).queries[0].source == ImageUrl("http://a/b")
    assert asked.images() == ([b"ABC"], ["queries[0].image"])


def test_options():
    asked = of({"id": ""}, k=5, where="price < 3", max_distance=1, unique=True, columns=["a,b", "c"])
    assert (asked.k, asked.where, asked.max_distance, asked.unique, asked.columns) == (
        5,
        "price < 3",
        1.0,
        True,
        ("a,b", "c"),
    )
    asked = of({"id": ""}, k=None, where=None, max_distance=None, unique=None, columns=None)
    assert (asked.k, asked.where, asked.max_distance, asked.unique, asked.columns) == (10, None, None, False, None)


def test_an_image_with_options_in_the_query_string():
    options = {"k": "3", "where": "a = 1", "max_distance": "0.5", "unique": "true", "columns": "x,y"}
    asked = parse_search(b"image", "image/png", options, LIMITS)
    assert asked.queries[0].source == b"image"
    assert (asked.k, asked.where, asked.max_distance, asked.unique, asked.columns) == (
        3,
        "a = 1",
        0.5,
        True,
        ("x", "y"),
    )
    asked = parse_search(b"image", "", {"k": "", "where": "", "max_distance": "", "columns": ""}, LIMITS)
    assert (asked.k, asked.where, asked.max_distance, asked.columns) == (10, None, None, ())


def test_forms():
    files = (part(b"a", b"1", b"x"), part(b"b", b"2", b"y"))
    request = json.dumps({"queries": [{"file": 1}, {"file": 0, "weight": -1}], "k": 2}).encode()
    asked = parse_search(form(files[0], part(b"request", request), files[1]), MULTIPART, {}, LIMITS)
    assert [(query.source, query.weight) for query in asked.queries] == [(b"2", 1), (b"1", -1)]
    assert asked.k == 2
    asked = parse_search(form(*files), MULTIPART, {"k": "4"}, LIMITS)
    assert [query.source for query in asked.queries] == [b"1", b"2"]
    assert asked.k == 4


@pytest.mark.parametrize(
    ("fields", "status", "problem"),
    [
        ({"queries": [{"id": "a"}], "k": 10**9}, 422, "k is 1,000,000,000; expected 1 to 100"),
        ({"queries": [{"id": "a"}], "k": 0}, 422, "k is 0; expected 1 to 100"),
        ({"queries": [{"id": "a"}], "k": -5}, 422, "k is -5"),
        ({"queries": [{"id": "a"}], "k": 10**30}, 400, "k is 1e.30; expected a whole number"),
        ({"queries": [{"id": "a"}], "k": 2.5}, 400, "k is 2.5"),
        ({"queries": [{"id": "a"}], "max_distance": -1}, 422, "expected 0 or more"),
        ({"queries": [{"id": "a"}], "max_distance": "1"}, 400, "max_distance is '1'"),
        ({"queries": [{"id": "a"}], "where": "x" * 10_001}, 422, "10,001 characters"),
        ({"queries": [{"id": "a"}], "columns": "a"}, 400, "columns is 'a'; expected a list"),
        ({"queries": [{"id": "a"}], "columns": ["a"] * 1001}, 422, "columns has more than 1,000"),
        ({"queries": [{"id": "a"}], "limit": 5}, 400, "a field 'limit'; expected queries, k"),
        ({"queries": []}, 422, "no query with a positive weight"),
        ({}, 422, "no query with a positive weight"),
        ({"queries": "a"}, 400, "queries is 'a'"),
        ({"queries": ["a"]}, 400, r"queries\[0\] is 'a'; expected an object"),
        ({"queries": [{"id": "a"}] * 4}, 413, "4 queries; expected at most 3"),
        ({"queries": [{"id": "a", "weight": -1}]}, 422, "no query with a positive weight"),
        ({"queries": [{"id": "a", "weight": 0}]}, 422, r"queries\[0\].weight is 0"),
        ({"queries": [{"id": "a", "weight": 1e300}]}, 422, "weight is 1e"),
        ({"queries": [{"id": "a", "weight": "1"}]}, 400, "weight is '1'"),
        ({"queries": [{"id": 5}]}, 400, r"queries\[0\].id is 5; expected a string"),
        ({"queries": [{"id": "a" * 5000}]}, 422, "5,000 characters"),
        ({"queries": [{}]}, 400, "none of image, id, vector, url, file; expected exactly one"),
        ({"queries": [{"id": "a", "vector": [1, 2]}]}, 400, "id and vector of"),
        ({"queries": [{"image": "a cat"}]}, 422, r"queries\[0\].image is not an image"),
        ({"queries": [{"url": "ftp://a"}]}, 422, r"queries\[0\].url is 'ftp://a'"),
        ({"queries": [{"file": 0}]}, 422, "one of the form's 0 files"),
        ({"queries": [{"file": -1}]}, 422, "file is -1"),
        ({"queries": [{"vector": [1, 2, 3]}]}, 422, r"queries\[0\].vector has 3 numbers; expected 2"),
        ({"queries": [{"vector": []}]}, 422, "0 numbers; expected 2"),
        ({"queries": [{"vector": [1, None]}]}, 422, "vector contains null"),
        ({"queries": [{"vector": [1, True]}]}, 422, "vector contains true"),
        ({"queries": [{"vector": [1, "2"]}]}, 422, "vector contains '2'"),
        ({"queries": [{"vector": [[1], [2]]}]}, 422, "vector contains a list"),
        ({"queries": [{"vector": [1, -1.1e9]}]}, 422, "not finite or beyond 1,000,000,000"),
    ],
)
def test_refusals(fields, status, problem):
    with refused(status, problem):
        parse(**fields)


@pytest.mark.parametrize(
    ("options", "status", "problem"),
    [
        ({"k": "1e9"}, 400, "k is '1e9'; expected a whole number"),
        ({"k": "9" * 5000}, 422, "expected 1 to 100"),
        ({"max_distance": "nan"}, 400, "max_distance is nan"),
        ({"max_distance": "inf"}, 400, "max_distance is inf"),
        ({"max_distance": "far"}, 400, "'far'; expected a number"),
        ({"unique": "maybe"}, 400, "unique is 'maybe'"),
        ({"K": "1"}, 400, "no parameter 'K'; expected k, where"),
    ],
)
def test_refused_parameters(options, status, problem):
    with refused(status, problem):
        parse_search(b"image", "image/png", options, LIMITS)


def test_refused_bodies():
    with refused(400, "the body is empty"):
        parse_search(b"", "image/png", {}, LIMITS)
    with refused(415, "'text/plain'; expected image"):
        parse_search(b"x", "text/plain", {}, LIMITS)
    with refused(415, "gzip"):
        parse_search(b"x", "image/png", {}, LIMITS, "gzip")
    with refused(400, "field 'k' is not a file"):
        parse_search(form(part(b"k", b"5")), MULTIPART, {}, LIMITS)
    with refused(400, "2 parts 'request'"):
        parse_search(form(*[part(b"request", b"{}")] * 2), MULTIPART, {}, LIMITS)
    with refused(413, "too many parts; expected at most 4"):
        parse_search(form(*[part(b"a", b"x", b"x")] * 6), MULTIPART, {}, LIMITS)
