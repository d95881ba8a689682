"""Folders deeper than Python's stack and longer than the system's paths; patterns on them."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.quantization.calibration import calibration_images
from gluon_lifted.errors import DataError, ImageError
from gluon_lifted.images import Preprocessing
from serve_cli.sources.image_bytes import read_image_bytes
from serve_cli.sources.pattern import Pattern
from serve_cli.sources.resolve import open_source
from serve_cli.sources.walk import Wanted, walk
from tests.examples import examples
from tests.serve_cli.sources.test_resolve import ids, touch

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEP = 1200
LONG = "n" * 250


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder in a folder, 1,200 times, with an image every 300 folders."""
    folder = str(tmp_path / "deep")
    os.mkdir(folder)
    made = [folder]
    for depth in range(1, DEEP + 1):
        made.append(f"{made[-1]}/d")
        os.mkdir(made[-1])
        if depth % 300 == 0:
            Path(made[-1], "x.jpg").touch()
    yield tmp_path / "deep"
    for path in reversed(made):  # shutil.rmtree calls itself
        for name in os.listdir(path):
            os.unlink(f"{path}/{name}") if not os.path.isdir(f"{path}/{name}") else shutil.rmtree(f"{path}/{name}")
        os.rmdir(path)


@pytest.mark.slow
def test_deep_folders_are_walked_in_order(deep: Path) -> None:
    touch(deep, "d.jpg", "d-/1.jpg", "e/1.jpg")
    inside = [f"{'d/' * depth}x.jpg" for depth in range(300, DEEP + 1, 300)]
    expected = sorted(["d-/1.jpg", "d.jpg", "e/1.jpg", *inside])
    assert ids(deep) == expected
    assert ids(deep / "**" / "*.jpg") == expected
    assert ids(deep / "d*" / "**" / "x.jpg") == sorted(inside)


@pytest.mark.slow
def test_calibration_finds_images_in_deep_folders(deep: Path) -> None:
    with pytest.raises(DataError, match="0 readable images"):
        calibration_images(deep, Preprocessing())


@pytest.mark.slow
def test_link_from_the_bottom_to_the_top_is_cut(deep: Path) -> None:
    bottom = str(deep) + "/d" * DEEP
    os.symlink(deep, f"{bottom}/up")
    os.symlink(".", f"{bottom}/here")
    try:
        assert open_source(deep).count() == DEEP / 300
    finally:
        os.unlink(f"{bottom}/up")
        os.unlink(f"{bottom}/here")


@pytest.fixture
def long(tmp_path: Path) -> Iterator[Path]:
    """Folders whose whole path is longer than the system takes; in each of them an image."""
    root = tmp_path / "long"
    root.mkdir()
    handle = os.open(root, os.O_RDONLY)
    for _ in range(18):
        os.close(os.open("x.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
        os.mkdir(LONG, dir_fd=handle)
        below = os.open(LONG, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    yield root
    half = root.joinpath(*[LONG] * 9)
    half.rename(tmp_path / "rest")


def test_path_that_is_too_long_is_said_so(long: Path) -> None:
    found = []
    with pytest.raises(
        DataError, match=r"n\.\.\.: a folder below it cannot be listed \(File name too long: 4,\d+ bytes\)"
    ):
        found.extend(walk(long, Wanted(lambda name: name.endswith(".jpg"), lambda _: True)))
    assert not found  # folders come first here: "nnn/" sorts before "x.jpg"


def test_file_whose_path_is_too_long_is_a_row_with_an_error(tmp_path: Path, long: Path) -> None:
    folder, name = str(long), "x" * 251 + ".jpg"
    while len(f"{folder}/{LONG}") < 4090:
        folder += f"/{LONG}"
    handle = os.open(folder, os.O_RDONLY)
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.rename(LONG, tmp_path / "away", src_dir_fd=handle)
    names = list(walk(long, Wanted(lambda _: True)))
    assert name in {os.path.basename(one) for one in names}
    (row,) = [row for row in open_source(long) if row.id.endswith(name)]
    with pytest.raises(ImageError, match="File name too long"):
        read_image_bytes(row.path)
    os.unlink(name, dir_fd=handle)
    os.close(handle)


def fits_by_trying(parts: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Whether parts of plain letters and ``**`` fit, by all ways to cut the names."""
    if not parts:
        return not names
    if parts[0] == "**":
        rest = parts[1:] or ("*",)
        return any(fits_by_trying(rest, names[start:]) for start in range(len(names)))
    return bool(names) and parts[0] in ("*", names[0]) and fits_by_trying(parts[1:], names[1:])


LETTERS = st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=5).map(tuple)


@examples(100)
@given(LETTERS, st.lists(st.sampled_from("ab"), min_size=1, max_size=6).map(tuple))
def test_fits_and_may_hold_are_what_trying_finds(parts: tuple[str, ...], names: tuple[str, ...]) -> None:
    pattern, path = Pattern(None, parts), "/".join(names)
    assert pattern.fits(path) == fits_by_trying(parts, names)
    further = [
        names + more for count in range(1, len(parts) + 1) for more in itertools.product("ab", repeat=min(count, 4))
    ]
    assert pattern.may_hold(path) == any(fits_by_trying(parts, one) for one in further)


def test_many_wildcards_on_a_deep_path_do_not_multiply() -> None:
    pattern = Pattern(None, ("**",) * 12 + ("nowhere",))
    assert not pattern.fits("a/" * 400 + "x.jpg")  # each way one by one: 400 to the power of 12
    assert pattern.fits("a/" * 400 + "nowhere")
