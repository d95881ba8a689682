"""The GPU's lane, all but the calls of CUDA: its buffers are in the host's memory here, and its session on the CPU."""

from __future__ import annotations

import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gluon_lifted.contract import EMBEDDING_OUTPUT
from serve_cli.model.lanes import CpuLane, GpuLane
from serve_cli.model.model_options import ModelOptions
from serve_cli.model.providers import open_session
from tests.serve_cli.tiny_model import CARD

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime")


class HostMemory:
    """A stand-in for a GPU's memory."""

    device = "cpu"

    def __init__(self) -> None:
        self.buffers: dict[int, np.ndarray] = {}
        self.pinned_arrays: list[np.ndarray] = []
        self.streams = 0
        self.copies: list[tuple[int, int]] = []  # address, stream

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        self.pinned_arrays.append(np.full(shape, 77, dtype))
        return self.pinned_arrays[-1]

    def allocate(self, size: int) -> int:
        buffer = np.empty(size, np.uint8)
        self.buffers[buffer.ctypes.data] = buffer
        return buffer.ctypes.data

    def stream(self) -> int:
        self.streams += 1
        return self.streams

    def copy_in(self, address: int, source: np.ndarray, stream: int) -> None:
        assert any(source is one for one in self.pinned_arrays)  # from pinned memory alone
        self.copies.append((address, stream))
        ctypes.memmove(address, source.ctypes.data, source.nbytes)


def feeds(count: int, rows: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(rows, 3, 16, 16)).astype(np.float32) for _ in range(count)]


@pytest.fixture
def session(model: Path) -> Any:
    return open_session(model, ModelOptions(threads=1))


def test_staged_batches_give_what_a_plain_run_gives(session: Any) -> None:
    memory = HostMemory()
    lane = GpuLane(session, memory, CARD.dim)
    plain = CpuLane(session)
    results = [lane.run(feed) for feed in feeds(3, 4)]
    for found, feed in zip(results, feeds(3, 4), strict=True):  # a later batch has not overwritten an earlier one
        np.testing.assert_allclose(found, plain.run(feed), atol=1e-6)
    assert len(memory.buffers) == 1  # batches of one shape are staged in the same place


def test_another_batch_size_is_staged_anew(session: Any) -> None:
    memory = HostMemory()
    lane = GpuLane(session, memory, CARD.dim)
    for rows in (4, 2):
        (feed,) = feeds(1, rows)
        np.testing.assert_allclose(lane.run(feed), CpuLane(session).run(feed), atol=1e-6)
    assert len(memory.buffers) == 2


def test_two_lanes_copy_on_streams_of_their_own_while_the_other_computes(session: Any) -> None:
    memory = HostMemory()
    meeting = threading.Barrier(2, timeout=20)

    class TileRanker:
        """The session of the first lane: it ends when the other lane has copied."""

        def __getattr__(self, name: str) -> Any:
            return getattr(session, name)

        def run_with_iobinding(self, binding: Any) -> None:
            meeting.wait()
            session.run_with_iobinding(binding)

    class Copying(HostMemory):
        def copy_in(self, address: int, source: np.ndarray, stream: int) -> None:
            meeting.wait()
            super().copy_in(address, source, stream)

    other = Copying()
    lanes = [GpuLane(TileRanker(), memory, CARD.dim), GpuLane(session, other, CARD.dim)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda lane, feed: lane.run(feed), lanes, feeds(2, 4)))
    for one, feed in zip(found, feeds(2, 4), strict=True):
        np.testing.assert_allclose(one, CpuLane(session).run(feed), atol=1e-6)


def test_lanes_have_streams_of_their_own(session: Any) -> None:
    memory = HostMemory()
    lanes = [GpuLane(session, memory, CARD.dim) for _ in range(2)]
    for lane, feed in zip(lanes, feeds(2, 4), strict=True):
        lane.run(feed)
    assert {stream for _, stream in memory.copies} == {1, 2}
    assert len({address for address, _ in memory.copies}) == 2
    assert session.get_outputs()[0].name == EMBEDDING_OUTPUT
