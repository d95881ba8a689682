"""Find the fastest batch size and number of sessions of a model on this host: `lifted bench`."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError, DeviceError
from gluon_lifted.hardware.memory import peak_memory
from gluon_lifted.progress import open_progress
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_options import ModelOptions
from serve_cli.model.tuning import Tuning, save_tuning

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.choices import Device

ROUNDS = 2  # all settings once, then all again, so that other load on the host affects them alike
LEAST_BATCHES = 5  # per round, however long they take
WORTH = 1.02  # speedup that justifies a larger batch or more sessions
LARGEST_BATCH = {"cpu": 64, "openvino": 64, "gpu": 512, "tensorrt": 512}


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """The options of `lifted bench`.

    Parameters
    ----------
    model : Path
        The ONNX file.
    model_options : ModelOptions
        ``batch_size`` and ``sessions`` are tried out unless they are set.
    seconds : float
        Minimum time per setting and round.
    save : bool
        Make the best setting the model's default on this host.
    """

    model: Path
    model_options: ModelOptions = ModelOptions()
    seconds: float = 1.5
    save: bool = False


@dataclass(frozen=True)
class Trial:
    """The measurements of one setting.

    Parameters
    ----------
    batch_size, sessions, threads : int
        Images per batch, batches side by side, and threads per session.
    images_per_second : float
        From pixels to embeddings.
    latency_ms : tuple of 3 float
        Latency of a batch while the other sessions are busy: median, 95th and 99th percentile.
    memory_bytes : int
        Peak resident memory of a process that does nothing else.
    """

    batch_size: int
    sessions: int
    threads: int
    images_per_second: float
    latency_ms: tuple[float, float, float]
    memory_bytes: int


@dataclass(frozen=True)
class BenchReport:
    """The measurements of all settings, and the best setting.

    Parameters
    ----------
    model : Path
        The ONNX file.
    device : Device
        The requested device.
    provider : str
        The onnxruntime execution provider that ran the network.
    trials : tuple of Trial
        One per setting that ran in every round.
    best : Trial
        The fastest. Among trials within 2 % of it, the one with the fewest images in flight, then the fewest sessions.
    saved : Path or None
        The file that `save_tuning` wrote.
    """

    model: Path
    device: Device
    provider: str
    trials: tuple[Trial, ...]
    best: Trial
    saved: Path | None

    def columns(self) -> list[str]:
        """Return the column headers of the table."""
        return ["batch", "sessions x threads", "images/s", "ms p50", "p95", "p99", "MB", ""]

    def rows(self) -> list[list[str]]:
        """Return the table's cells, one row per trial."""
        return [
            [
                str(trial.batch_size),
                f"{trial.sessions} x {trial.threads}",
                f"{trial.images_per_second:.1f}",
                *(f"{latency:.1f}" for latency in trial.latency_ms),
                f"{trial.memory_bytes / 1e6:.0f}",
                "best" if trial == self.best else "",
            ]
            for trial in self.trials
        ]

    def facts(self) -> dict[str, str]:
        """Return the conclusion as text: model, device, and the options to use."""
        setting = f"--batch-size {self.best.batch_size} --sessions {self.best.sessions}"
        use = {"saved": f"{self.saved}; other commands will use it"} if self.saved else {"to keep it": "--save"}
        return {"model": str(self.model), "device": f"{self.device}, {self.provider}", "best": setting, **use}


def bench(options: BenchOptions) -> BenchReport:
    """Measure all settings, each in a separate process. Progress is shown on stderr.

    Raises
    ------
    RunError, DeviceError, ConfigError
        If the model or the device cannot be used, or every setting failed.
    """
    device = options.model_options.device
    with Embedder(options.model, options.model_options) as embedder:
        provider, model_hash = embedder.provider, embedder.model_sha256
    settings = _settings(options.model_options)
    rounds: dict[ModelOptions, list[_Measured]] = {setting: [] for setting in settings}
    done = 0
    with open_progress("bench", total=ROUNDS * len(settings), unit="settings") as progress:
        for _ in range(ROUNDS):
            for setting in settings:
                measured = _in_a_process(options.model, setting, options.seconds)
                rounds[setting] += [measured] if measured else []
                done += 1
                progress.update(done)
    trials = tuple(_trial(setting, measured) for setting, measured in rounds.items() if len(measured) == ROUNDS)
    if not trials:
        raise ConfigError(
            f"{options.model}: every setting failed, perhaps for lack of memory; give a smaller --batch-size."
        )
    best = _best(trials)
    saved = None
    if options.save:
        saved = save_tuning(model_hash, device, Tuning(best.batch_size, best.sessions))
    return BenchReport(model=options.model, device=device, provider=provider, trials=trials, best=best, saved=saved)


@dataclass(frozen=True)
class _Measured:
    images: int
    seconds: float
    latencies: list[float]  # seconds
    memory_bytes: int


def _settings(options: ModelOptions) -> list[ModelOptions]:
    """Combine batch sizes and numbers of sessions, each in powers of two. At most one session per thread."""
    largest = LARGEST_BATCH[options.device]
    batches = [options.batch_size] if options.batch_size else _powers(largest)
    most = options.num_threads if options.device in ("cpu", "openvino") else 1
    sessions = [options.sessions] if options.sessions else _powers(most)
    return [replace(options, batch_size=size, sessions=number) for number in sessions for size in batches]


def _powers(largest: int) -> list[int]:
    return sorted({2**exponent for exponent in range(largest.bit_length())} | {largest})


def _best(trials: tuple[Trial, ...]) -> Trial:
    fastest = max(trial.images_per_second for trial in trials)
    return min(
        (trial for trial in trials if trial.images_per_second * WORTH >= fastest),
        key=lambda trial: (trial.batch_size * trial.sessions, trial.sessions),
    )


def _trial(setting: ModelOptions, rounds: list[_Measured]) -> Trial:
    seconds = [latency for measured in rounds for latency in measured.latencies]
    return Trial(
        batch_size=setting.batch_size or 1,  # `_settings` gives batch_size and sessions
        sessions=setting.sessions or 1,
        threads=setting.session_threads,
        images_per_second=sum(measured.images for measured in rounds) / sum(measured.seconds for measured in rounds),
        latency_ms=tuple((1e3 * np.percentile(seconds, [50, 95, 99])).tolist()),
        memory_bytes=max(measured.memory_bytes for measured in rounds),
    )


def _in_a_process(model: Path, setting: ModelOptions, seconds: float) -> _Measured | None:
    """Return None if the process died or its device failed: the setting needs more memory than the host has."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, model, setting, seconds).result()
        except (BrokenProcessPool, DeviceError):
            return None


def _measure(model: Path, setting: ModelOptions, seconds: float) -> _Measured:
    embedder = Embedder(model, setting)
    crop = embedder.card.preprocessing.crop
    shape = (embedder.batch_size, crop, crop, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for _ in range(2 * embedder.lanes):  # memory and caches
        embedder.embed(pixels)
    latencies: list[float] = []
    began = time.perf_counter()

    def work(_: int) -> None:
        count = 0
        while count < LEAST_BATCHES or time.perf_counter() - began < seconds:
            started = time.perf_counter()
            embedder.embed(pixels)
            latencies.append(time.perf_counter() - started)
            count += 1

    with ThreadPoolExecutor(embedder.lanes) as pool:
        list(pool.map(work, range(embedder.lanes)))
    elapsed = time.perf_counter() - began
    return _Measured(len(latencies) * len(pixels), elapsed, latencies, peak_memory())
