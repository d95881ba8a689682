"""Run frameworks in separate processes that take turns: two OpenMP runtimes in one process disturb each other."""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REST_S = 0.3  # idle OpenMP threads spin for up to 0.2 s, which would slow down the next process


class Worker:
    """A process that runs one framework, and its answers so far.

    Parameters
    ----------
    command : list of str
        Starts a Python program that calls `answer`.
    threads : int
        OpenMP and BLAS threads.
    """

    def __init__(self, command: list[str], threads: int) -> None:
        limits = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS")}
        environment = {**os.environ, **limits, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.times: list[float] = []  # seconds
        self.last: dict[str, Any] = {}
        self.trouble = ""

    def turn(self) -> None:
        """Run one round; do nothing after a failure."""
        if self.trouble:
            return
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # a process that ended may have left an answer
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.last = json.loads(line) if line else {}
        if "times" in self.last:
            self.times += self.last["times"]
        else:
            self.trouble = "not installed" if "missing" in self.last else "died"
        time.sleep(REST_S)

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()

    @property
    def median(self) -> float:
        """Median time in seconds; NaN if it never ran."""
        return statistics.median(self.times) if self.times else math.nan

    @property
    def best(self) -> float:
        return min(self.times, default=math.nan)


def answer(start: Callable[[], Callable[[], dict[str, Any]]]) -> None:
    """Serve in the worker process: call ``start`` once, then run a round and print a line of JSON per line of stdin."""
    try:
        one_round = start()
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name}), flush=True)
        return
    for _ in sys.stdin:
        print(json.dumps(one_round()), flush=True)


def timed(step: Callable[[], object], seconds: float, least: int = 3) -> list[float]:
    """Return the times in seconds of at least ``least`` runs, and at least ``seconds`` in total."""
    times: list[float] = []
    while len(times) < least or sum(times) < seconds:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return times
