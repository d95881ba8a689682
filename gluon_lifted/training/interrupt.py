"""Defer Ctrl-C and SIGTERM to the end of the current iteration."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Interruption:
    """Number of the signal that asked to stop; None if none did."""

    signal: int | None = None

    def is_set(self) -> bool:
        """Return whether to stop after the current iteration."""
        return self.signal is not None


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Let the first Ctrl-C or SIGTERM set the interruption, and the second interrupt at once."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def first(number: int, _: Any) -> None:
        interruption.signal = number
        restore()

    for number, handler in before.items():
        if handler is not signal.SIG_IGN or number == signal.SIGINT:
            signal.signal(number, first)
    try:
        yield interruption
    finally:
        restore()
