"""Stop calling a host for a while after a few failures in a row."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES = 5  # in a row, before a host counts as down
REST_S = 30.0  # seconds until one attempt is let through
MAX_HOSTS = 10_000  # remembered hosts; the ones that failed last


class HostDownError(OSError):
    """The host counts as down, so nothing was sent to it."""


@dataclass
class _Failing:
    """The failures of a host in a row, and when it may be tried again."""

    count: int = 0
    next_try: float = 0.0


class CircuitBreaker:
    """A circuit breaker for each host and port, shared by all threads.

    Only missing answers count as failures: failed connections and timeouts. Any answer, ``404`` and ``503`` included,
    shows that the host is up and resets its count, because one bad file says nothing about the others.

    Parameters
    ----------
    failures : int
        Failures in a row after which a host counts as down.
    rest_s : float
        Seconds before the next attempt once a host is down.
    clock : callable
        Returns monotonic seconds. Tests pass their own.
    """

    def __init__(
        self, failures: int = FAILURES, rest_s: float = REST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._failures, self._rest_s, self._clock = failures, rest_s, clock
        self._failing: OrderedDict[str, _Failing] = OrderedDict()
        self._lock = threading.Lock()

    def require_up(self, host: str) -> None:
        """Raise `HostDownError` if a host counts as down. Every ``rest_s`` seconds one caller may try it."""
        with self._lock:
            failing = self._failing.get(host)
            if failing is None or failing.count < self._failures:
                return
            if self._clock() >= failing.next_try:
                failing.next_try = self._clock() + self._rest_s
                return
        raise HostDownError(
            f"{host} is down: its last {self._failures} attempts or more failed, so no further attempt was made; "
            "resume later with --retry-failed"
        )

    def is_down(self, host: str) -> bool:
        """Whether a host counts as down, even while one caller tries it."""
        with self._lock:
            failing = self._failing.get(host)
            return failing is not None and failing.count >= self._failures

    def answered(self, host: str) -> None:
        """Reset the failures of a host."""
        with self._lock:
            self._failing.pop(host, None)

    def failed(self, host: str) -> None:
        """Count one more failure of a host."""
        with self._lock:
            failing = self._failing.setdefault(host, _Failing())
            failing.count += 1
            failing.next_try = self._clock() + self._rest_s
            self._failing.move_to_end(host)
            if len(self._failing) > MAX_HOSTS:
                self._failing.popitem(last=False)
