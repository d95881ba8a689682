from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_lifted import files
from gluon_lifted.files import (
    create_file,
    remove_leftovers,
    replaced_file,
    temporary_folder,
    try_lock,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(path: Path) -> None:
    path.write_text("half")
    raise OSError(errno.ENOSPC, "disk full")


def killed_while_writing(path: Path) -> None:
    """Leave a temporary file as a killed process does: without a lock."""
    code = (
        "import os, pathlib, sys; from gluon_lifted.files import replaced_file\n"
        "with replaced_file(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code, path], env=environment, check=False).returncode == -9


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with replaced_file(tmp_path / "a") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert (tmp_path / "a").read_text() == "new"
    assert names(tmp_path) == ["a"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    with replaced_file(tmp_path / "a") as temporary:
        temporary.write_text("new")
    (tmp_path / "b").write_text("new")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError, match="full"), replaced_file(tmp_path / "a") as temporary:
        write_half(temporary)
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_the_next_write_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    killed_while_writing(tmp_path / "a")
    killed_while_writing(tmp_path / "a.b")
    (tmp_path / ".a.1234.tmp").touch()  # as earlier versions called them, by process id
    assert len(names(tmp_path)) == 3
    with replaced_file(tmp_path / "a") as temporary:
        temporary.write_text("new")
    left = names(tmp_path)
    assert left[1:] == ["a"]
    assert left[0].startswith(".a.b.")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["a"]


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    with replaced_file(tmp_path / "a") as first:
        first.write_text("first")
        with replaced_file(tmp_path / "a") as second:
            second.write_text("second")
            remove_leftovers(tmp_path)
            assert (first.read_text(), second.read_text()) == ("first", "second")
        assert (tmp_path / "a").read_text() == "second"
    assert (tmp_path / "a").read_text() == "first"


def test_without_locks_nothing_of_others_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(handle: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    killed_while_writing(tmp_path / "a")
    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    with replaced_file(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert len(names(tmp_path)) == 2
    assert (tmp_path / "a").read_text() == "new"


def test_a_temporary_file_that_was_taken_for_abandoned_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may lock and remove it after it is created and before it is locked."""
    calls: list[int] = []

    def too_late(handle: int, *, shared: bool = False) -> bool | None:
        calls.append(handle)
        if len(calls) == 1:
            (left,) = tmp_path.iterdir()
            left.unlink()
        return try_lock(handle, shared=shared)

    monkeypatch.setattr(files, "try_lock", too_late)
    with replaced_file(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert len(calls) == 2
    assert (tmp_path / "a").read_text() == "new"


def test_temporary_folder(tmp_path: Path) -> None:
    with temporary_folder(tmp_path / "set") as folder:
        (folder / "x").touch()
        remove_leftovers(tmp_path)
        folder.rename(tmp_path / "set")
    assert names(tmp_path) == ["set"]
    with pytest.raises(OSError, match="full"), temporary_folder(tmp_path / "other") as folder:
        write_half(folder / "x")
    assert names(tmp_path) == ["set"]


def create(path: str, text: str) -> bool:
    return create_file(Path(path), text)


@pytest.mark.parametrize("hard_links", [True, False])
def test_exactly_one_process_creates_a_file(tmp_path: Path, hard_links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not hard_links:
        monkeypatch.setattr(files.os, "link", unsupported)
    texts = [str(number) * 5000 for number in range(8)]
    with multiprocessing.get_context("fork").Pool(8) as pool:
        created = pool.starmap(create, [(str(tmp_path / "plan"), text) for text in texts], chunksize=1)
    assert created.count(True) == 1
    assert (tmp_path / "plan").read_text() == texts[created.index(True)]
    assert names(tmp_path) == ["plan"]
