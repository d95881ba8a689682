import pytest

from serve_cli.http.parsing.media_types import parse_media_type
from serve_cli.http.parsing.multipart import Part, parse_multipart
from tests.serve_cli.http.parsing.refusals import refused

FORM = parse_media_type("multipart/form-data; boundary=xyz")


def form(*parts, end=b"--xyz--\r\n"):
    return b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + end


def part(name, content, filename=None):
    extra = b"" if filename is None else b'; filename="' + filename + b'"'
    return b'Content-Disposition: form-data; name="' + name + b'"' + extra + b"\r\n\r\n" + content


def test_parts_are_in_order():
    body = form(part(b"a", b"1\r\n2", b"a.png"), part(b"b", b""), part(b"c", b"\r\n--xy", b""))
    assert parse_multipart(body, FORM, 3) == [
        Part("a", True, b"1\r\n2"),
        Part("b", False, b""),
        Part("c", True, b"\r\n--xy"),
    ]


def test_other_headers_and_epilogue():
    body = b"--xyz\r\nX: 1\r\ncontent-disposition:form-data;name=a\r\n\r\nz\r\n--xyz--ignored"
    assert parse_multipart(body, FORM, 1) == [Part("a", False, b"z")]


def test_what_clients_send():
    """The bodies that httpx2 writes."""
    import httpx2

    request = httpx2.Request("POST", "http://x", files=[("f", ("ä\"'.png", b"\0" * 9)), ("g", b"h")], data={"k": "v"})
    parsed = parse_multipart(request.read(), parse_media_type(request.headers["content-type"]), 3)
    assert sorted(parsed, key=lambda item: item.name) == [
        Part("f", True, b"\0" * 9),
        Part("g", True, b"h"),
        Part("k", False, b"v"),
    ]


def test_too_many_parts_are_not_split():
    with refused(413, "too many parts; expected at most 5"):
        parse_multipart(form(*[part(b"a", b"")] * 10_000), FORM, 5)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "cut off"),
        (b"--xyz\r\n\r\nx", "cut off"),
        (form(part(b"a", b"x"), end=b"--xyz\r\n"), "cut off"),
        (form(b"\r\nx"), "has no name; expected the header Content-Disposition"),
        (
            form(b"Content-Disposition: attachment; name=a\r\n\r\nx"),
            "has no name; expected the header Content-Disposition",
        ),
        (form(b"Content-Disposition: form-data\r\n\r\nx"), "has no name; expected the header Content-Disposition"),
        (form(b"X: 1"), "malformed"),
        (form(b"X: " + b"y" * 9000 + b"\r\n\r\nz"), "malformed"),
        (b"--xyzw\r\n\r\n\r\n--xyz--", "malformed"),
    ],
)
def test_damaged_forms(body, problem):
    with refused(400, problem):
        parse_multipart(body, FORM, 5)


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a\x00b", "a\r\nb", "ä", '"'])
def test_boundaries(boundary):
    with refused(400, "boundary"):
        parse_multipart(form(), parse_media_type("multipart/form-data")._replace(parameters={"boundary": boundary}), 5)
