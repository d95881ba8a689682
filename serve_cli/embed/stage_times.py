"""Measure the time that each stage of a run takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields


@dataclass
class StageTimes:
    """Seconds per stage. Waiting, network and writing alternate in one thread while others read and decode.

    Parameters
    ----------
    read_s, decode_s : float
        Sums over all decoding threads.
    wait_s : float
        Time in which the network was idle because no batch was decoded.
    network_s : float
        Time in which the caller waited for preprocessing and onnxruntime.
    write_s : float
        Time in which the caller processed the rows.
    """

    read_s: float = 0.0
    decode_s: float = 0.0
    wait_s: float = 0.0
    network_s: float = 0.0
    write_s: float = 0.0

    def add(self, other: StageTimes) -> None:
        """Add the times of another worker."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def shares(self) -> dict[str, float]:
        """Compute each stage's share of the time so far. Shares add up to 1, or are 0 before the first batch.

        The time spent waiting for images is split between reading and decoding in proportion to the threads' times.
        """
        total = self.wait_s + self.network_s + self.write_s or 1.0
        reading = self.read_s / (self.read_s + self.decode_s or 1.0)
        return {
            "reading": self.wait_s * reading / total,
            "decoding": self.wait_s * (1 - reading) / total,
            "network": self.network_s / total,
            "writing": self.write_s / total,
        }

    def text(self) -> str:
        """Format the shares from 1 % on, the largest first: ``"network 71%, decoding 25%"``."""
        ordered = sorted(self.shares().items(), key=lambda share: -share[1])
        return ", ".join(f"{name} {share:.0%}" for name, share in ordered if share >= 0.01)


class Stopwatch:
    """Measures the time between laps."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last lap, and start the next."""
        began, self._began = self._began, time.perf_counter()
        return self._began - began
