"""Where the time of a run goes."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields


@dataclass
class StageTimes:
    """Seconds of a run. Waiting, network and writing follow each other; threads read and decode beside them.

    Parameters
    ----------
    read_s, decode_s : float
        Sums over all threads.
    wait_s : float
        The network stood still because images were not decoded yet.
    network_s : float
        The caller waited for preprocessing and onnxruntime.
    write_s : float
        What the caller did with the rows.
    """

    read_s: float = 0.0
    decode_s: float = 0.0
    wait_s: float = 0.0
    network_s: float = 0.0
    write_s: float = 0.0

    def add(self, other: StageTimes) -> None:
        """Count in the time of another worker."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def shares(self) -> dict[str, float]:
        """Shares of the time so far, in [0, 1], that add up to 1; zeros before the first batch.

        Waiting for images is divided as their threads divide their time between reading and decoding.
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
        """The shares in words, the largest first, e.g. ``"network 71 %, decoding 25 %"``; those below 1 % left out."""
        ordered = sorted(self.shares().items(), key=lambda share: -share[1])
        return ", ".join(f"{name} {share:.0%}" for name, share in ordered if share >= 0.01)


class Stopwatch:
    """The time between laps."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        began, self._began = self._began, time.perf_counter()
        return self._began - began
