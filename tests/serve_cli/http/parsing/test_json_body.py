import pytest

from serve_cli.http.parsing.json_body import json_object, parse_json
from tests.serve_cli.http.parsing.refusals import refused


@pytest.mark.parametrize(
    "body", [b"", b"{", b"NaN", b"[Infinity]", b"\xff", b'"\\ud800"', b"[" * 2000 + b"]" * 2000, b"{'a': 1}", b"[1,]"]
)
def test_what_is_no_json(body):
    with refused(400, "not valid JSON"):
        parse_json(body)


def test_values_are_counted_before_they_are_parsed():
    assert parse_json(b"[1,2,3]", max_values=2, max_containers=1) == [1, 2, 3]
    with refused(413, "3 commas and 1 lists"):
        parse_json(b"[1,2,3,4]", max_values=2)
    with refused(413, "at most 1,048,576 and 65,536"):
        parse_json(b"[" + b"{}" * 70_000)


def test_unknown_fields_are_named():
    with refused(400, "queries\\[0\\] has a field 'wieght'; expected id, weight"):
        json_object({"wieght": 1}, ("id", "weight"), "queries[0]")
    with refused(400, "the body is a list; expected an object"):
        json_object([], ("id",))


@pytest.mark.parametrize(
    ("method", "value", "expected"),
    [
        ("text", 1, "field is 1; expected a string"),
        ("flag", 1, "field is 1; expected true or false"),
        ("flag", "true", "field is 'true'; expected true or false"),
        ("number", True, "field is true; expected a number"),
        ("number", "1", "field is '1'; expected a number"),
        ("number", float("inf"), "field is inf; expected a number"),
        ("integer", 1.0, "field is 1.0; expected a whole number"),
        ("integer", False, "field is false; expected a whole number"),
        ("items", {}, "field is an object; expected a list"),
        ("texts", ["a", None], "field contains null; expected strings only"),
    ],
)
def test_fields_of_another_type(method, value, expected):
    with refused(400, expected):
        getattr(json_object({"field": value}), method)("field")


def test_missing_fields():
    empty = json_object({"field": None})
    for method in ("text", "number", "integer", "items", "texts"):
        assert getattr(empty, method)("field") is None
        assert getattr(empty, method)("missing") is None
    assert empty.flag("field") is False
