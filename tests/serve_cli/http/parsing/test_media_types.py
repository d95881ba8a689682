import pytest

from serve_cli.http.parsing.media_types import parse_media_type, preferred_type, require_json, require_plain
from tests.serve_cli.http.parsing.refusals import refused

JSON, BYTES = "application/json", "application/octet-stream"


def test_parameters_are_tokens_or_quoted_strings():
    parsed = parse_media_type('Multipart/Form-Data ; Boundary="a;b\\"c"; charset=utf-8')
    assert parsed.name == "multipart/form-data"
    assert parsed.parameters == {"boundary": 'a;b"c', "charset": "utf-8"}
    assert parse_media_type("").name == ""


def test_the_first_parameter_of_a_name_counts():
    assert parse_media_type("a/b; x=1; X=2").parameters == {"x": "1"}


@pytest.mark.parametrize(
    ("header", "is_image"),
    [("image/jpeg", True), ("IMAGE/x", True), (BYTES, True), ("", True), ("text/html", False), (JSON, False)],
)
def test_image_types(header, is_image):
    assert parse_media_type(header).is_image is is_image


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        (BYTES, BYTES),
        (f"{BYTES}, {JSON}", JSON),  # no preference: the first that is offered
        (f"{JSON};q=0.5, {BYTES}", BYTES),
        (f"application/*;q=0.1, {BYTES};q=0.2", BYTES),
        (f"{BYTES};q=0", JSON),
        ("text/html", JSON),
        (f"{BYTES};q=nonsense", BYTES),
    ],
)
def test_what_a_client_prefers(accept, chosen):
    assert preferred_type(accept, (JSON, BYTES)) == chosen


def test_compressed_bodies_are_refused():
    require_plain("")
    require_plain("Identity")
    with refused(415, "'gzip'; expected none"):
        require_plain("gzip")


def test_json_bodies():
    require_json("application/json; charset=utf-8", "")
    require_json("", "")
    with refused(415, "'text/plain'"):
        require_json("text/plain", "")
