from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError, DeviceError, RunError
from serve_cli import Embedder
from serve_cli.model import benchmark as bench_module
from serve_cli.model.benchmark import (
    LEAST_BATCHES,
    BenchOptions,
    Trial,
    bench,
)
from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow

TRIAL = Trial(8, 1, 2, 100.0, (1.0, 2.0, 3.0), 10**8)


def test_all_settings_are_tried_and_the_best_is_saved(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(bench_module.LARGEST_BATCH, "cpu", 2)
    report = bench(BenchOptions(model=model, model_options=ModelOptions(threads=2), seconds=0.01, save=True))
    assert [(one.sessions, one.threads, one.batch_size) for one in report.trials] == [
        (1, 2, 1), (1, 2, 2), (2, 1, 1), (2, 1, 2),
    ]  # fmt: skip
    for one in report.trials:
        assert one.images_per_second > 0
        assert list(one.latency_ms) == sorted(one.latency_ms)
        assert one.memory_bytes > 20e6  # Python, NumPy and onnxruntime
    assert report.provider == "CPUExecutionProvider"
    found = Embedder(model, ModelOptions(threads=2))
    assert (found.batch_size, found.lanes) == (report.best.batch_size, report.best.sessions)
    assert sum(row[-1] == "best" for row in report.rows()) == 1


def test_nothing_is_saved_unasked(model: Path) -> None:
    report = bench(BenchOptions(model=model, model_options=ModelOptions(batch_size=3, threads=1), seconds=0.01))
    assert [(one.batch_size, one.sessions) for one in report.trials] == [(3, 1)]
    assert report.saved is None
    assert not list(model.parent.glob("*.json"))


def test_rates_and_latencies_are_of_what_was_run(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four lanes that take 20 ms a batch give 4 * 5 images in 20 ms."""
    monkeypatch.setattr(Embedder, "embed", lambda *_: bench_module.time.sleep(0.02))
    found = bench_module._measure(model, ModelOptions(batch_size=5, threads=4, sessions=4), seconds=0.3)
    assert found.images == 5 * len(found.latencies)
    assert found.images / found.seconds == pytest.approx(1000, rel=0.3)
    assert np.median(found.latencies) == pytest.approx(0.02, rel=0.3)
    assert len(found.latencies) >= 4 * LEAST_BATCHES


def test_the_smallest_of_the_fastest_is_best() -> None:
    trials = [
        replace(TRIAL, batch_size=64, images_per_second=101.0),
        replace(TRIAL, batch_size=16, sessions=4),
        replace(TRIAL, batch_size=32, sessions=2),
        TRIAL,
        replace(TRIAL, batch_size=1, images_per_second=90.0),
    ]
    assert bench_module._best(tuple(trials)) == TRIAL
    slow = replace(TRIAL, images_per_second=98.0)
    assert bench_module._best((slow, trials[0])) == trials[0]


def test_sessions_and_batches_that_are_tried() -> None:
    def tried(serving: ModelOptions) -> list[tuple[int | None, int | None]]:
        return [(one.sessions, one.batch_size) for one in bench_module._settings(serving)]

    assert {sessions for sessions, _ in tried(ModelOptions(threads=6))} == {1, 2, 4, 6}
    assert tried(ModelOptions(threads=2, batch_size=5)) == [(1, 5), (2, 5)]
    assert tried(ModelOptions(sessions=3, batch_size=5)) == [(3, 5)]
    assert {sessions for sessions, _ in tried(ModelOptions(device="gpu", threads=8))} == {1}


def test_setting_that_fails_is_left_out(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = bench_module._in_a_process
    monkeypatch.setattr(
        bench_module, "_in_a_process", lambda path, one, s: real(path, one, s) if one.batch_size == 1 else None
    )
    monkeypatch.setitem(bench_module.LARGEST_BATCH, "cpu", 2)
    report = bench(BenchOptions(model=model, model_options=ModelOptions(threads=1), seconds=0.01))
    assert [one.batch_size for one in report.trials] == [1]
    monkeypatch.setattr(bench_module, "_in_a_process", lambda *_: None)
    with pytest.raises(ConfigError, match="every setting failed"):
        bench(BenchOptions(model=model, model_options=ModelOptions(threads=1), seconds=0.01))


def test_process_that_dies_is_a_setting_that_fails(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "_measure", _die)
    assert bench_module._in_a_process(model, ModelOptions(), 0.01) is None


def test_model_that_cannot_be_used(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="no such file"):
        bench(BenchOptions(model=tmp_path / "none.onnx"))
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match="has no CUDA"):
        bench(BenchOptions(model=model, model_options=ModelOptions(device="gpu")))


def _die(*_: object) -> None:
    import os

    os._exit(9)
