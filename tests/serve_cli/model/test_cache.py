from __future__ import annotations

import os
from typing import TYPE_CHECKING

from serve_cli.model import cache
from serve_cli.model.cache import cache_folder, evict, mark_used

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("graphs") == tmp_path / "xdg" / "gluon-lifted" / "graphs"
    for unset in ("", "relative/folder"):  # to be ignored, says the specification
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert cache_folder("graphs") == tmp_path / "home" / ".cache" / "gluon-lifted" / "graphs"


def test_nobody_else_may_write_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder("graphs")
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(cache.os, "getuid", lambda: 12345)
    assert cache_folder("graphs") is None


def test_a_home_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert cache_folder("graphs") is None
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(cache.os, "access", lambda *_: False)
    assert cache_folder("graphs") is None


def test_what_was_not_used_for_longest_is_evicted(tmp_path: Path) -> None:
    for number in range(5):
        entry = tmp_path / f"{number}.onnx"
        entry.write_bytes(bytes(1000))
        os.utime(entry, ns=(number, number))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "engine").write_bytes(bytes(3000))
    os.utime(tmp_path / "folder", ns=(0, 0))
    mark_used(tmp_path / "1.onnx")
    evict(tmp_path, 3500)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.onnx", "3.onnx", "4.onnx"]
    evict(tmp_path, 10)
    assert list(tmp_path.iterdir()) == []
