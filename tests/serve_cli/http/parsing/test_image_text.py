import base64

import pytest

from serve_cli.http.parsing.image_text import ImageUrl, image_url, parse_image_text
from tests.serve_cli.http.parsing.refusals import refused

CONTENT = bytes(range(256))
TEXT = base64.b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT[:76] + "\n" + TEXT[76:] + "\r\n",
        f"data:image/png;base64,{TEXT}",
        f"DATA:Image/JPEG;charset=x;BASE64,{TEXT}",
        f"data:;base64,{TEXT}",
        f"data:application/octet-stream;base64,{TEXT}",
    ],
)
def test_base64_and_data_urls(text):
    assert parse_image_text(text, "input") == CONTENT


@pytest.mark.parametrize("text", ["http://a/b.jpg", "HTTPS://a", "http:/a"])
def test_urls_are_only_passed_on(text):
    assert parse_image_text(text, "input") == ImageUrl(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "input is empty"),
        ("data:image/png;base64,", "input is empty"),
        ("a cat", "is not an image as base64 or a data URL"),
        ("QUI", "is not an image as base64"),
        ("QU-_", "is not an image as base64"),
        ("Ä" * 8, "is not an image as base64"),
        (f"data:image/png,{TEXT}", "expected data:image"),
        (f"data:text/html;base64,{TEXT}", "expected data:image"),
        ("data:" + "x" * 1000, "expected data:image"),
        ("file:///etc/passwd", "a URL with another scheme"),
        ("s3://bucket/key", "a URL with another scheme"),
        ("http://" + "a" * 8000, "8,007 characters"),
    ],
)
def test_what_is_no_image(text, problem):
    with refused(422, problem):
        parse_image_text(text, "input")


def test_a_url_is_one_of_the_web():
    with refused(422, "begins with http"):
        image_url("ftp://a", "url")
