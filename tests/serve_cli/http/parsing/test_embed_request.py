import pytest

from serve_cli.http.parsing.embed_request import parse_embed
from tests.serve_cli.http.parsing.refusals import refused
from tests.serve_cli.http.parsing.test_multipart import form, part

MULTIPART = "multipart/form-data; boundary=xyz"


CURLS = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/octet-stream", "", CURLS])
def test_the_body_is_an_image(content_type):
    asked = parse_embed(b"x", content_type, "", 1)
    assert (asked.images, asked.single, asked.as_bytes) == ([b"x"], True, False)


def test_every_file_of_a_form_in_order():
    body = form(part(b"a", b"1", b"a"), part(b"a", b"2", b"b"))
    asked = parse_embed(body, MULTIPART, "application/octet-stream", 2)
    assert (asked.images, asked.single, asked.as_bytes) == ([b"1", b"2"], False, True)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "problem"),
    [
        (b"", "image/png", 400, "the body is empty"),
        (b"x", "text/plain", 415, "expected image"),
        (b"{}", "application/json", 415, "Images in JSON go to /v1/embeddings"),
        (form(), MULTIPART, 400, "the form is empty"),
        (form(part(b"k", b"v")), MULTIPART, 400, "field 'k' is not a file"),
        (form(*[part(b"a", b"1", b"a")] * 3), MULTIPART, 413, "too many parts; expected at most 2"),
    ],
)
def test_refusals(body, content_type, status, problem):
    with refused(status, problem):
        parse_embed(body, content_type, "", 2)
