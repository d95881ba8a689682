"""Which batch size, and how many batches side by side, a model is fastest with on this machine: `lifted bench`."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gluon_lifted.errors import ConfigError, DeviceError
from gluon_lifted.hardware.memory import peak_memory
from serve_cli.model.model_options import Serving
from serve_cli.model.tuning import Tuning, save_tuning
from serve_cli.progress import open_progress

ROUNDS = 2  # all settings once, then all again: what else the machine does hits them alike
LEAST_BATCHES = 5  # of a round, however long they take
WORTH = 1.02  # a larger batch, or more sessions, must be so many times as fast
LARGEST_BATCH = {"cpu": 64, "openvino": 64, "gpu": 512, "tensorrt": 512}


@dataclass(frozen=True)
class BenchOptions:
    """What `lifted bench` is asked for.

    Parameters
    ----------
    model : Path
    serving : Serving
        ``batch_size`` and ``sessions`` fix what is otherwise tried out.
    seconds : float
        Least time of a setting in each round.
    save : bool
        Make the best setting the model's default on this machine.
    """

    model: Path
    serving: Serving = Serving()
    seconds: float = 1.5
    save: bool = False


@dataclass(frozen=True)
class Trial:
    """What one setting did.

    Parameters
    ----------
    batch_size, sessions, threads : int
        Images in a batch; batches side by side; threads of each of them.
    images_per_second : float
        From pixels to embeddings.
    latency_ms : tuple of 3 float
        Of a batch, while others go on beside it: median, 95 % and 99 % of the batches took no longer.
    memory_bytes : int
        Largest resident memory of a process that does nothing else.
    """

    batch_size: int
    sessions: int
    threads: int
    images_per_second: float
    latency_ms: tuple[float, float, float]
    memory_bytes: int


@dataclass(frozen=True)
class BenchReport:
    """All settings that were tried.

    Parameters
    ----------
    model : Path
    device : str
    provider : str
        onnxruntime's name of what the network ran on.
    trials : tuple of Trial
    best : Trial
        The fastest; of those that are as fast within 2 %, the one with the smallest batch and the fewest sessions.
    saved : Path or None
    """

    model: Path
    device: str
    provider: str
    trials: tuple[Trial, ...]
    best: Trial
    saved: Path | None

    def columns(self) -> list[str]:
        """Heads of the table that `rows` fills."""
        return ["batch", "sessions x threads", "images/s", "ms p50", "p95", "p99", "MB", ""]

    def rows(self) -> list[list[str]]:
        return [
            [
                str(one.batch_size),
                f"{one.sessions} x {one.threads}",
                f"{one.images_per_second:.1f}",
                *(f"{latency:.1f}" for latency in one.latency_ms),
                f"{one.memory_bytes / 1e6:.0f}",
                "best" if one == self.best else "",
            ]
            for one in self.trials
        ]

    def facts(self) -> dict[str, str]:
        """What to make of the table, in words."""
        setting = f"--batch-size {self.best.batch_size} --sessions {self.best.sessions}"
        use = {"saved": f"{self.saved}; embed and eval take it from there"} if self.saved else {"to keep it": "--save"}
        return {"model": str(self.model), "device": f"{self.device}, {self.provider}", "best": setting, **use}


def bench(options: BenchOptions) -> BenchReport:
    """Try all settings, each in a process of its own. Progress goes to stderr.

    Raises
    ------
    RunError, DeviceError, ConfigError
        If the model or the device cannot be used, or no setting could be run.
    """
    embedder = options.serving.open(options.model)
    provider, model_hash = embedder.provider, embedder.model_sha256
    del embedder
    settings = _settings(options.serving)
    found: dict[Serving, list[_Measured]] = {one: [] for one in settings}
    done = 0
    with open_progress("bench", total=ROUNDS * len(settings), unit="settings") as progress:
        for _ in range(ROUNDS):
            for setting in settings:
                measured = _in_a_process(options.model, setting, options.seconds)
                found[setting] += [measured] if measured else []
                done += 1
                progress.update(done)
    trials = tuple(_trial(setting, rounds) for setting, rounds in found.items() if len(rounds) == ROUNDS)
    if not trials:
        raise ConfigError(f"{options.model}: no setting could be run; memory may be short for a batch.")
    best = _best(trials)
    saved = None
    if options.save:
        saved = save_tuning(model_hash, options.serving.device, Tuning(best.batch_size, best.sessions))
    return BenchReport(options.model, options.serving.device, provider, trials, best, saved)


@dataclass(frozen=True)
class _Measured:
    images: int
    seconds: float
    latencies: list[float]  # seconds
    memory_bytes: int


def _settings(serving: Serving) -> list[Serving]:
    """Batches of powers of two up to the largest, and sessions of powers of two up to one a thread."""
    largest = LARGEST_BATCH[serving.device]
    batches = [serving.batch_size] if serving.batch_size else _powers(largest)
    most = serving.decoders if serving.device in ("cpu", "openvino") else 1
    sessions = [serving.sessions] if serving.sessions else _powers(most)
    return [replace(serving, batch_size=size, sessions=number) for number in sessions for size in batches]


def _powers(largest: int) -> list[int]:
    return sorted({2**exponent for exponent in range(largest.bit_length())} | {largest})


def _best(trials: tuple[Trial, ...]) -> Trial:
    fastest = max(one.images_per_second for one in trials)
    return min(
        (one for one in trials if one.images_per_second * WORTH >= fastest),
        key=lambda one: (one.batch_size * one.sessions, one.sessions),
    )


def _trial(setting: Serving, rounds: list[_Measured]) -> Trial:
    latencies = 1e3 * np.percentile([one for measured in rounds for one in measured.latencies], [50, 95, 99])
    batch_size, sessions = setting.batch_size or 1, setting.sessions or 1  # `_settings` gives both
    return Trial(
        batch_size,
        sessions,
        setting.decoders // sessions,
        sum(one.images for one in rounds) / sum(one.seconds for one in rounds),
        tuple(latencies.tolist()),
        max(one.memory_bytes for one in rounds),
    )


def _in_a_process(model: Path, setting: Serving, seconds: float) -> _Measured | None:
    """None if the process died or its device failed, for want of memory: the setting is not for this machine."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, model, setting, seconds).result()
        except (BrokenProcessPool, DeviceError):
            return None


def _measure(model: Path, setting: Serving, seconds: float) -> _Measured:
    embedder = setting.open(model)
    crop = embedder.card.preprocessing.crop
    shape = (setting.batch_size or embedder.batch_size, crop, crop, 3)
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
