from __future__ import annotations

import os
from pathlib import Path

import pytest

from gluon_lifted.errors import DataError
from serve_cli.runtime.sources import open_source, text_list


def test_a_path_in_each_line(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff.jpg")
    (tmp_path / "list.txt").write_bytes(b"b/2.jpg\r\n\n/photos/a b.jpg\n\xff.jpg")
    found = list(open_source(tmp_path / "list.txt"))
    assert [row.id for row in found] == ["b/2.jpg", "/photos/a b.jpg", "\\xff.jpg"]
    assert [row.path for row in found] == [tmp_path / "b/2.jpg", Path("/photos/a b.jpg"), tmp_path / odd]


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_empty_list(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match="lists no images"):
        open_source(tmp_path / "list.txt")


@pytest.mark.parametrize("content", [b"a.jpg\n\0", b"a.jpg\n" + b"x" * text_list.MAX_LINE])
def test_line_that_is_no_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"list\.txt, line 2: not a path"):
        list(open_source(tmp_path / "list.txt"))
