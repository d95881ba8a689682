"""How long a network is waited for, and how often something is tried again."""

from __future__ import annotations

import random
import re
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    T = TypeVar("T")

IMAGE_TIMEOUT_S = 60.0
ATTEMPTS = 4
PAUSE_S = 0.4  # the longest pause before the second attempt; twice that before the third, and so on

_limit: ContextVar[tuple[float, float] | None] = ContextVar("limit", default=None)  # seconds, and when they end


class TimeIsUpError(OSError):
    """Something was not complete within ``seconds``, or within the `time_limit` around it."""

    def __init__(self, seconds: float) -> None:
        limit = _limit.get()
        cure = "; --image-timeout sets how long one image may take" if limit else ""
        super().__init__(f"not complete after {limit[0] if limit else seconds:g} s{cure}")


class Failure(Protocol):
    """What an error means for another attempt."""

    def __call__(self, error: Exception) -> float | None:
        """Seconds that the server asks to be left alone, 0 if it does not say; None if the error will not pass."""


@dataclass(frozen=True)
class Patience:
    """Tries something again while it may still succeed, within a total time.

    Pauses have full jitter: their length is drawn from 0 to a bound that doubles ("Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015), so that threads which failed together do not come back together. A server that says
    when to come back (RFC 9110, 10.2.3) is obeyed, if there is time for it, and its attempts do not count.

    Parameters
    ----------
    seconds : float
        For all attempts and pauses.
    attempts : int
    pause_s : float
        Bound of the first pause.
    clock, sleep, jitter : callable
        Of `time` and `random`; tests give their own.
    """

    seconds: float
    attempts: int = ATTEMPTS
    pause_s: float = PAUSE_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[float, float], float] = random.uniform

    def within(self, seconds: float) -> Patience:
        """The same with another total time."""
        return replace(self, seconds=seconds)

    def persist(self, attempt: Callable[[float], T], failure: Failure) -> T:
        """Call ``attempt`` with the seconds that are left until it returns.

        Raises
        ------
        Exception
            What the last attempt raised: it will not pass, was one too many, or leaves no time for the next.
        TimeIsUpError
            If no time is left.
        """
        ends, failures = self.clock() + self.seconds, 0
        while True:
            left = ends - self.clock()
            if left <= 0:
                raise TimeIsUpError(self.seconds)
            try:
                return attempt(left)
            except Exception as error:
                asked = failure(error)
                failures += not asked
                if asked is None or failures >= self.attempts:
                    raise
                pause = asked + self.jitter(0, self.pause_s * 2 ** max(failures - 1, 0))
                if self.clock() + pause >= ends:
                    raise
            self.sleep(pause)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Within it, whatever is read over a network in this thread is read within this time, all together."""
    token = _limit.set((seconds, time.monotonic() + seconds))
    try:
        yield
    finally:
        _limit.reset(token)


def seconds_left() -> float | None:
    """Of the innermost `time_limit`, 0 if it is over; None without one."""
    limit = _limit.get()
    return None if limit is None else max(limit[1] - time.monotonic(), 0.0)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server's ``Retry-After`` asks for: a number, or a date by its own clock; 0 if it says nothing."""
    said = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", said):
        return float(said[:20])
    asked, now = _date(said), _date(headers.get("Date", ""))
    if asked is None:
        return 0.0
    return max(asked - (time.time() if now is None else now), 0.0)


def _date(text: str) -> float | None:
    """An HTTP date in seconds since 1970."""
    try:
        found: datetime = parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
