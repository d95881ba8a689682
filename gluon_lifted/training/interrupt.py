"""Ctrl-C and SIGTERM that wait for the work in hand."""

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
    """Whether to stop, and the number of the signal that asked for it."""

    signal: int | None = None

    def is_set(self) -> bool:
        return self.signal is not None


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """The first Ctrl-C or SIGTERM sets the interruption, obeyed between iterations; the second interrupts at once."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
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
