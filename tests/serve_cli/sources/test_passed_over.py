"""What is not an image by its name is counted and named."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gluon_lifted.errors import DataError
from serve_cli.sources import passed_over
from serve_cli.sources.passed_over import PassedOver, passed_over_text
from serve_cli.sources.resolve import open_source
from tests.serve_cli.sources.test_resolve import ids, touch
from tests.serve_cli.sources.test_tar import write as write_tar

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = ["notes.pdf", "a/x.PDF", "a/y.pdf", "a/README", "b/c/z.xyz"]
IMAGES = ["a/1.jpg", "b/c/2.PNG"]
SILENT = [".DS_Store", "a/._1.jpg", ".git/config", "__MACOSX/a/3.jpg", "b/__MACOSX/4.jpg"]
COUNTS = {".pdf": 3, "": 1, ".xyz": 1}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    touch(tmp_path, *OTHERS, *IMAGES, *SILENT)
    (tmp_path / "a/up").symlink_to(tmp_path)  # what is above is not counted twice
    return tmp_path


def test_folder(tree: Path) -> None:
    source = open_source(tree)
    for _ in range(2):  # each time anew
        assert [row.id for row in source] == IMAGES
        assert source.passed_over.by_suffix() == COUNTS
    next(iter(source))  # a listing that is not finished changes nothing
    assert source.passed_over.by_suffix() == COUNTS


def test_pattern(tree: Path) -> None:
    source = open_source(tree / "*" / "**")
    assert [row.id for row in source] == IMAGES
    assert source.passed_over.by_suffix() == {".pdf": 2, "": 1, ".xyz": 1}
    assert open_source(tree / "**" / "*.jpg").passed_over.by_suffix() == {}
    assert ids(tree / "*" / "*.jpg") == ["a/1.jpg"]


def test_store(tree: Path) -> None:
    upath = pytest.importorskip("upath", reason="needs universal-pathlib")
    store = upath.UPath("memory://passed-over")
    for name in [*OTHERS, *IMAGES, *SILENT]:
        store.fs.pipe(f"/passed-over/{name}", b"")
    for name in ("memory://passed-over", "memory://passed-over/**"):
        source = open_source(name)
        assert [row.id for row in source] == IMAGES
        assert source.passed_over.by_suffix() == COUNTS


def test_folder_of_shards(tree: Path) -> None:
    write_tar(tree / "x.tar", {"1.jpg": b"x"})
    touch(tree, "5.jpg", "x.json")
    source = open_source(tree)
    assert [row.id for row in source] == ["x.tar/1.jpg"]
    assert source.passed_over.by_suffix() == {".jpg": 1, ".json": 1, ".pdf": 1}


def test_folder_without_images_says_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passed_over, "MISSING_PACKAGES", {".heic": "pillow-heif"})
    touch(tmp_path, "1.xyz", "2.HEIC", "3")
    for index in range(4):
        touch(tmp_path, f"{index}.pdf")
    (tmp_path / "2.HEIC").rename(tmp_path / "2.heic2")
    with pytest.raises(DataError, match=r"Skipped 4 \.pdf, 1 without a suffix, 1 \.heic2, 1 \.xyz\.$"):
        open_source(tmp_path)


def test_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passed_over, "MISSING_PACKAGES", {".heic": "pillow-heif"})
    counts = {".pdf": 12_345, ".heic": 2, "": 1}
    assert passed_over_text(counts) == "2 .heic (pip install 'pillow-heif'), 12,345 .pdf, 1 without a suffix"
    assert passed_over_text({}) == ""
    many = {f".{number}": 1 for number in range(20)}
    assert passed_over_text(many) == ", ".join(f"1 .{number}" for number in range(8)) + ", 12 with other suffixes"


def test_any_number_of_suffixes_takes_little_memory() -> None:
    found = PassedOver()
    for number in range(5000):
        found.add(f"scan.{number}")
    found.add("a." + "long" * 50)
    found.add("a.two\nlines")
    found.add(os.fsdecode(b"a.caf\xe9"))
    found.add("b.7")
    assert len(found.counts) == 1001
    assert found.counts[".7"] == 2
    assert sum(found.counts.values()) == 5004
    assert next(iter(found.by_suffix().items())) == ("others", 4003)


def test_counts_are_those_of_plain_loops(tmp_path: Path) -> None:
    names = [f"{folder}/{stem}{suffix}" for folder in "ab" for stem in "xyz" for suffix in (".txt", ".jpg", "", ".X")]
    touch(tmp_path, *names)
    source = open_source(tmp_path)
    source.count()
    expected = Counter(os.path.splitext(name)[1].lower() for name in names if not name.endswith(".jpg"))
    assert source.passed_over.by_suffix() == dict(expected)
