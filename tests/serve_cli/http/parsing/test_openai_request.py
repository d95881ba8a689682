import json

import pytest

from serve_cli.http.parsing.image_text import ImageUrl
from serve_cli.http.parsing.openai_request import parse_openai
from tests.serve_cli.http.parsing.refusals import refused


def parse(**fields):
    return parse_openai(json.dumps(fields).encode(), "tiny", 8, 3)


def test_forms_of_input():
    assert parse(input="QUJD").images == [b"ABC"]
    assert parse(input=["QUJD", {"image": "REVG"}, "http://a/b"]).images == [b"ABC", b"DEF", ImageUrl("http://a/b")]


def test_what_clients_add_is_ignored():
    asked = parse(input="QUJD", model="tiny", user="me", encoding_format="base64", dimensions=8, modality="image")
    assert asked.as_base64
    assert not parse(input="QUJD", encoding_format="float").as_base64
    assert not parse(input="QUJD").as_base64


@pytest.mark.parametrize(
    ("fields", "status", "problem"),
    [
        ({}, 400, "input is null; expected an image"),
        ({"input": []}, 400, "empty list"),
        ({"input": [1, 2]}, 400, r"input\[0\] is 1; expected an image"),
        ({"input": [[1, 2]]}, 400, r"input\[0\] is a list"),
        ({"input": [{"text": "a"}]}, 400, r"input\[0\].image is null"),
        ({"input": ["QUJD", "a photo of a cat"]}, 422, r"input\[1\] is not an image"),
        ({"input": ["QUJD"] * 4}, 413, "4 items; expected at most 3"),
        ({"input": "QUJD", "model": "other"}, 404, "no model 'other'; this server has 'tiny'"),
        ({"input": "QUJD", "model": 1}, 400, "model is 1"),
        ({"input": "QUJD", "encoding_format": "int8"}, 400, "expected float or base64"),
        ({"input": "QUJD", "dimensions": 4}, 422, "dimensions is 4; expected 8"),
        ({"input": "QUJD", "dimensions": "8"}, 400, "dimensions is '8'"),
    ],
)
def test_refusals(fields, status, problem):
    with refused(status, problem):
        parse(**fields)
