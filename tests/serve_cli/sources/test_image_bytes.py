"""The bytes of images on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gluon_lifted.errors import ImageError
from serve_cli.sources import image_bytes
from serve_cli.sources.image_bytes import read_image_bytes

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_and_parts_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(range(100)))
    assert read_image_bytes(path) == read_image_bytes(str(path)) == bytes(range(100))
    assert read_image_bytes(path, 10, 20) == bytes(range(10, 30))
    assert read_image_bytes(path, 10, 0) == b""
    with pytest.raises(ImageError, match=r"a\.jpg: cannot be read \(cut off after 10 of 20 bytes\)"):
        read_image_bytes(path, 90, 20)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name, message in [
        ("none.jpg", "No such file or directory"),
        ("folder.jpg", "it is a folder"),
        ("pipe.jpg", "it is a pipe or a device"),
        ("loop.jpg", "Too many levels of symbolic links"),
        ("pipe.jpg/x.jpg", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("a\0b.jpg", "embedded null byte"),
        ("\ud800.jpg", "surrogates not allowed"),
    ]:
        with pytest.raises(ImageError, match=rf"cannot be read \(.*{message}") as caught:
            read_image_bytes(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ".replace("\0", "\\x00"))


def test_forbidden_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidding(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbidding)  # whoever runs the tests may be allowed everything
    with pytest.raises(ImageError, match=r"a\.jpg: cannot be read \(Permission denied\)"):
        read_image_bytes(tmp_path / "a.jpg")


def test_too_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    os.truncate(path, image_bytes.MAX_IMAGE_BYTES + 1)
    for size in (None, image_bytes.MAX_IMAGE_BYTES + 1):
        with pytest.raises(ImageError, match=r"536,870,913 bytes are more than the limit of 536,870,912"):
            read_image_bytes(path, 0, size)


def test_one_open_one_stat_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    calls = []
    for name in ("open", "fstat", "pread", "close", "stat"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *words, name=name, real=real: (calls.append(name), real(*words))[1])
    assert read_image_bytes(path) == b"abc"
    assert calls == ["open", "fstat", "pread", "close"]
