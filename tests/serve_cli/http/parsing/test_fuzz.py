"""Bytes of all kinds: each parser returns, or raises a `RequestError` of a status that it documents."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.embed_request import parse_embed
from serve_cli.http.parsing.image_text import parse_image_text
from serve_cli.http.parsing.kserve_tensors import parse_infer
from serve_cli.http.parsing.media_types import parse_media_type, preferred_type
from serve_cli.http.parsing.multipart import parse_multipart
from serve_cli.http.parsing.openai_request import parse_openai
from serve_cli.http.parsing.search_request import SearchLimits, parse_search

EXAMPLES = settings(max_examples=60)
NAMES = (
    "queries k where max_distance unique columns image id vector url file weight input model encoding_format "
    "dimensions inputs outputs name shape datatype data parameters binary_data_size binary_data binary_data_output"
).split()
WORDS = [*NAMES, "images", "UINT8", "embedding", "base64", "float", "QUJD", "data:image/png;base64,QUJD", "http://a/b"]
NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([0, 1, 2, 3, 24, 255, 10**9])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.sampled_from(WORDS) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)
BODIES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode(errors="surrogatepass"))
    | st.lists(
        st.sampled_from(
            [
                b"--xyz",
                b"--",
                b"\r\n",
                b"\r\n\r\n",
                b'Content-Disposition: form-data; name="request"',
                b"{}",
                b"\xff",
                b";",
            ]
        ),
        max_size=30,
    ).map(b"".join)
)
TYPES = st.sampled_from(["", "image/png", "application/json", "multipart/form-data; boundary=xyz"]) | st.text(
    max_size=50
)
PARAMETERS = st.dictionaries(st.sampled_from([*NAMES[:6], "x"]), st.text(max_size=12) | NUMBERS.map(str), max_size=4)
STATUSES = {400, 404, 413, 415, 422}


def only_refuses(parse, *arguments):
    refusal = None
    try:
        parse(*arguments)
    except RequestError as error:
        refusal = error
    assert refusal is None or (refusal.status in STATUSES and len(str(refusal).encode()) < 4000)


@EXAMPLES
@given(BODIES, TYPES, PARAMETERS, st.text(max_size=10))
def test_search(body, content_type, parameters, encoding):
    only_refuses(parse_search, body, content_type, parameters, SearchLimits(10, 3, 2), encoding)
    only_refuses(parse_search, body, content_type, parameters, SearchLimits(10, 3, 2))


@EXAMPLES
@given(BODIES, TYPES, st.text(max_size=80))
def test_embed(body, content_type, accept):
    only_refuses(parse_embed, body, content_type, accept, 3)
    preferred_type(accept, ("application/json", "application/octet-stream"))


@EXAMPLES
@given(BODIES)
def test_openai(body):
    only_refuses(parse_openai, body, "tiny", 2, 3)


@EXAMPLES
@given(BODIES, st.none() | st.integers(-5, 300).map(str) | st.text(max_size=5))
def test_infer(body, length):
    only_refuses(parse_infer, body, length, 2, 3)


@EXAMPLES
@given(JSON, st.binary(max_size=30))
def test_infer_of_almost_right_tensors(value, behind):
    tensor = {"name": "images", "datatype": "UINT8", "shape": [2, 2, 2, 3], "data": value, "parameters": value}
    content = json.dumps({"inputs": [tensor], "outputs": value}).encode()
    only_refuses(parse_infer, content + behind, str(len(content)), 2, 3)


@EXAMPLES
@given(BODIES, st.text(max_size=80))
def test_forms(body, boundary):
    for text in (boundary, "xyz"):
        only_refuses(parse_multipart, body, parse_media_type(f'multipart/form-data; boundary="{text}"'), 3)


@EXAMPLES
@given(st.text(max_size=100), st.sampled_from(["", "data:", "data:image/png;base64,", "http:"]))
def test_images(text, prefix):
    only_refuses(parse_image_text, prefix + text, "input")


@pytest.mark.parametrize("header", [";" * 100_000, 'a/b; x="' + "\\" * 100_000, "a" * 100_000, "a=" * 50_000])
def test_long_headers_take_linear_time(header):
    parse_media_type(header)
    preferred_type(header, ("application/json",))
