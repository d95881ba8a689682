from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gluon_lifted.errors import DataError, ImageError
from serve_cli.embed.decoding import Decoding, read_content
from serve_cli.sources.resolve import open_source
from serve_cli.sources.text_list import MAX_LINE


def test_a_path_in_each_line(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff.jpg")
    (tmp_path / odd).touch()
    (tmp_path / "list.txt").write_bytes(b"b/2.jpg\r\n\n/photos/a b.jpg\n\xff.jpg")
    found = list(open_source(tmp_path / "list.txt"))
    assert [row.id for row in found] == ["b/2.jpg", "/photos/a b.jpg", "\\xff.jpg"]
    assert [row.path for row in found] == [tmp_path / "b/2.jpg", Path("/photos/a b.jpg"), tmp_path / odd]


@pytest.mark.parametrize("content", ["prose\nof a letter\n", "photos/1.jpg\n" * 20 + "1.jpg"])
def test_a_text_that_names_no_image_is_an_error_at_once(tmp_path: Path, content: str) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "notes.txt").write_text(content)
    with pytest.raises(DataError, match=r"notes\.txt: names no image that exists in its first lines; looked for .*"):
        open_source(tmp_path / "notes.txt")


@pytest.mark.parametrize("content", ["missing.jpg\n1.jpg\n", "https://host/1.jpg\n"])
def test_one_image_or_url_makes_a_list(tmp_path: Path, content: str) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "list.txt").write_text(content)
    assert len(list(open_source(tmp_path / "list.txt"))) == content.count("\n")


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_empty_list(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match="lists no images"):
        open_source(tmp_path / "list.txt")


BAD_LINES = {
    b"htp://host/a.jpg": "'htp' is not a known scheme",
    b"https:/host/a.jpg": "expected '://'",
    b"http:///a.jpg": "it has no host",
    b"http://[::1/a.jpg": "its host is not valid",
    b"http://host:port/a.jpg": "its port is not a number",
    b"http://host:0/a.jpg": "its port is not a number",
    b"http://host:99999/a.jpg": "its port is not a number",
    b"http://a b/a.jpg": "must be percent-encoded",
    b"http://host/a\tb.jpg": "it contains a control character",
    b"http://host/a\0b.jpg": "it contains a control character",
    b"http://" + b"a" * 64 + b".host/a.jpg": "cannot be read",
    b"http://a..b/a.jpg": "cannot be read",
    b"http://host/\xff.jpg": "cannot be read",
    b"s3:///a.jpg": "it has no bucket",
    b"s3://KEY:SECRET@bucket/a.jpg": "a bucket name cannot contain '@' or ':'",
    b"://": "cannot be re",
    b"a\0b.jpg": "cannot be read",
    b"a" * 300 + b".jpg": "[Ff]ile name too long",
    b"b" * MAX_LINE: "line [0-9]+: 65,536 or more characters; expected a path",
    b"c" * 3 * MAX_LINE: "line [0-9]+: 65,536 or more characters; expected a path",
    b"none.jpg": "No such file",
}


@pytest.mark.slow
def test_bad_line_fails_alone(tmp_path: Path) -> None:
    pytest.importorskip("upath", reason="needs universal-pathlib")
    (tmp_path / "good.jpg").write_bytes(b"good")
    lines = [line for bad in BAD_LINES for line in (bad, b"good.jpg")]
    (tmp_path / "list.txt").write_bytes(b"\n".join(lines))
    rows = list(open_source(tmp_path / "list.txt"))
    assert len(rows) == len(lines)
    assert len({row.id for row in rows[::2]}) == len(BAD_LINES)
    decoding = Decoding(1, image_timeout=5)
    for row, message in zip(rows[::2], BAD_LINES.values(), strict=True):
        with pytest.raises(ImageError, match=message) as caught:
            read_content(row, decoding)
        assert "SECRET" not in str(caught.value) + row.id + str(row.path)
        assert "\0" not in str(caught.value)
    assert [read_content(row, decoding) for row in rows[1::2]] == [b"good"] * len(BAD_LINES)


@pytest.mark.parametrize(
    "source", ["htp://host/list.txt", "http://[::1", "http:///list.txt", "https:/host/a.txt", "a\0.txt"]
)
def test_source_that_is_no_url_is_an_error_of_the_run(source: str) -> None:
    pytest.importorskip("upath", reason="needs universal-pathlib")
    with pytest.raises(DataError, match="cannot be reached"):
        open_source(source)


def test_package_that_a_scheme_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("upath", reason="needs universal-pathlib")
    from serve_cli.sources import location

    location._missing_for.cache_clear()
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)  # what it has imported before
    (tmp_path / "list.txt").write_text("s3://bucket/a.jpg\ngood.jpg")
    bad, good = open_source(tmp_path / "list.txt")
    with pytest.raises(ImageError, match=r"s3://bucket/a\.jpg: .*s3fs.*pip install .*\[remote\]"):
        read_content(bad, Decoding(1))
    assert good.path == tmp_path / "good.jpg"
    location._missing_for.cache_clear()
