"""Runs at the same time: tasks of a job array, and runs that must not share a folder."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gluon_lifted.errors import LiftedError, RunError
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import ArrayTask, EmbedOptions, Output
from serve_cli.embeddings import run_lock as module
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.embeddings.run_lock import FOLDER_LOCK, run_lock
from tests.serve_cli.photos import photo

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

pytestmark = pytest.mark.slow

PROCESSES = multiprocessing.get_context("spawn")


def embed_together(options: EmbedOptions, barrier: Barrier) -> str:
    """Open the run, wait until all processes have, then embed; the error if there was one."""
    from serve_cli.embed import embed_images as embed

    opened = embed.open_run

    def open_and_wait(options):
        run = opened(options)
        barrier.wait(120)
        return run

    embed.open_run = open_and_wait
    try:
        embed_images(options)
    except LiftedError as error:
        return str(error)
    return ""


def together(options: list[EmbedOptions]) -> list[str]:
    manager = PROCESSES.Manager()
    with manager, PROCESSES.Pool(len(options)) as pool:
        barrier = manager.Barrier(len(options))
        return pool.starmap(embed_together, [(one, barrier) for one in options], chunksize=1)


@pytest.fixture
def options(model: Path, tmp_path: Path) -> EmbedOptions:
    for seed in range(8):
        photo(tmp_path / "photos" / f"{seed}.jpg", seed)
    return EmbedOptions(model=model, source=tmp_path / "photos", out=tmp_path / "emb", output=Output(rows_per_file=2))


@pytest.mark.parametrize("form", ["parquet", "npy"])
def test_tasks_of_a_job_array_that_start_together_keep_all_parts(options: EmbedOptions, form: str) -> None:
    options = replace(options, output=Output(rows_per_file=2, format=form))
    assert together([replace(options, task=ArrayTask(index, 4)) for index in range(4)]) == [""] * 4
    assert read_embeddings(options.out).ids == tuple(f"{seed}.jpg" for seed in range(8))
    assert not list(options.out.glob(".*"))


def test_tasks_with_other_settings_are_refused(options: EmbedOptions) -> None:
    shares = [replace(options, task=ArrayTask(index, 4), pixel_limit=10**6 + index % 2) for index in range(4)]
    errors = together(shares)
    assert sum(error == "" for error in errors) == 2
    assert sum("the pixel limit has changed" in error for error in errors) == 2


def hold(folder: Path, index: int, count: int, ready: Barrier) -> None:
    with run_lock(folder, index, count):
        ready.wait(120)
        signal.pause()


@pytest.fixture
def holder(tmp_path: Path):
    """Start processes that hold locks of ``tmp_path``."""
    started = []

    def start(index: int, count: int) -> multiprocessing.Process:
        ready = PROCESSES.Barrier(2)
        process = PROCESSES.Process(target=hold, args=(tmp_path, index, count, ready))
        process.start()
        started.append(process)
        ready.wait(120)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def busy(folder: Path, index: int, count: int) -> str:
    """The error of a run that cannot have the folder, or an empty text."""
    try:
        with run_lock(folder, index, count):
            return ""
    except RunError as error:
        return str(error)


def test_a_second_run_says_who_is_writing(tmp_path: Path, holder) -> None:
    process = holder(0, 1)
    expected = f"another run is writing to it (process {process.pid} on {socket.gethostname()}, started 2"
    assert expected in busy(tmp_path, 0, 1)
    assert expected in busy(tmp_path, 1, 4)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert busy(tmp_path, 0, 1) == ""
    assert [path.name for path in tmp_path.iterdir()] == []


def test_tasks_of_an_array_share_the_folder_but_not_their_own_part_of_it(tmp_path: Path, holder) -> None:
    first, _ = holder(0, 4), holder(3, 4)
    assert busy(tmp_path, 1, 4) == ""
    assert f"process {first.pid} " in busy(tmp_path, 0, 4)
    assert f"process {first.pid} " in busy(tmp_path, 0, 1)


def test_a_run_that_ended_is_not_named(tmp_path: Path, holder) -> None:
    (tmp_path / ".task-0-of-1.lock").write_text(json.dumps({"host": "elsewhere", "process": 1, "started": "then"}))
    process = holder(2, 3)
    found = busy(tmp_path, 0, 1)
    assert "elsewhere" not in found
    assert f"process {process.pid} " in found


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"process": "x"}', b"\xff", b"[" * 4000])
def test_a_damaged_name_of_the_owner_is_left_out(tmp_path: Path, holder, content: bytes) -> None:
    holder(0, 1)
    (tmp_path / ".task-0-of-1.lock").write_bytes(content)
    assert "another run is writing to it. Wait" in busy(tmp_path, 0, 1)


def test_a_lock_whose_file_was_removed_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner may end between another process's opening and locking the file."""
    answers = iter([False, True, True])
    monkeypatch.setattr(module, "is_at", lambda *_: next(answers))
    assert busy(tmp_path, 0, 1) == ""


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "try_lock", lambda *_, **__: None)
    with run_lock(tmp_path, 0, 1), run_lock(tmp_path, 0, 1):
        assert (tmp_path / FOLDER_LOCK).exists()
    assert list(tmp_path.iterdir()) == []
