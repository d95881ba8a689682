"""Call a network within a time limit, and try again while that may help."""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from serve_cli.sources.network.circuit_breaker import CircuitBreaker, HostDownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    T = TypeVar("T")
    from collections.abc import Coroutine


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
class RetryPolicy:
    """Retry while an attempt may still succeed, within a total time.

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

    def within(self, seconds: float) -> RetryPolicy:
        """The same with another total time."""
        return replace(self, seconds=seconds)

    def run(self, attempt: Callable[[float], T], failure: Failure) -> T:
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
            except Exception as error:  # ``failure`` decides; what will not pass is raised again
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
    """Limit the total time of all that this thread reads over a network within the context."""
    token = _limit.set((seconds, time.monotonic() + seconds))
    try:
        yield
    finally:
        _limit.reset(token)


def seconds_left() -> float | None:
    """Seconds left of the innermost `time_limit`, 0 if it is over; None outside of one."""
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
        date: datetime = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


SOURCE_TIMEOUT_S = 600.0  # of one call that is not for a single image: a part of a table, a list of names
CLOSING_S = 5.0  # for a call that was stopped to end
BREAKER = CircuitBreaker()

# Classes of aiohttp, botocore and Python by name: only the library that raised them is there for certain.
NO_ANSWER = frozenset({"TimeoutError", "ConnectionError", "ClientConnectionError", "HTTPClientError"})
ANSWER = frozenset({"StatusError", "FileNotFoundError", "PermissionError"})


def has_no_answer(error: BaseException) -> bool:
    """Whether an error means that a host does not answer, or not in time."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, (HostDownError, TimeIsUpError)) or bool(
        names & NO_ANSWER and "ClientSSLError" not in names
    )


def call(
    loop: Any,
    host: str,
    make: Callable[[], Coroutine[Any, Any, Any]],
    failure: Failure | None = None,
    policy: RetryPolicy | None = None,
) -> Any:
    """Run a coroutine on the thread of fsspec's that has ``loop``.

    Parameters
    ----------
    loop : event loop
    host : str
        That counts as down if it does not answer. Within a `time_limit` nothing is sent to one that is; without one
        it is tried, as a whole run may depend on the answer.
    make : callable
        Makes the coroutine, for each attempt.
    failure : callable, optional
        Whether an error may pass; without it there is one attempt.
    policy : RetryPolicy, optional
        Outside of a `time_limit`.

    Raises
    ------
    HostDownError
        If the host counts as down.
    TimeIsUpError
        If time is up.
    """
    left = seconds_left()

    def attempt(seconds: float) -> Any:
        if left is not None:
            BREAKER.require_up(host)
        try:
            result = _run(loop, make, seconds)
        except Exception as error:  # counted, and raised again
            _count(host, error)
            raise
        BREAKER.answered(host)
        return result

    def may_pass(error: Exception) -> float | None:
        if failure is None or isinstance(error, (HostDownError, TimeIsUpError)):
            return None
        return None if left is not None and BREAKER.is_down(host) else failure(error)

    policy = policy or RetryPolicy(SOURCE_TIMEOUT_S)
    return (policy if left is None else policy.within(left)).run(attempt, may_pass)


def _count(host: str, error: Exception) -> None:
    """Count an answer or a failure of a host; what a file or a URL has wrong is neither."""
    if has_no_answer(error):
        BREAKER.failed(_blamed(host, error))
    elif any(kind.__name__ in ANSWER for kind in type(error).__mro__):
        BREAKER.answered(host)


def _blamed(host: str, error: Exception) -> str:
    """The host that could not be connected to: not the asked one where that one redirected to it."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ClientConnectorError" not in names or "ClientProxyConnectionError" in names:
        return host
    refused: Any = error
    return f"[{refused.host}]:{refused.port}" if ":" in refused.host else f"{refused.host}:{refused.port}"


def _run(loop: Any, make: Callable[[], Coroutine[Any, Any, Any]], seconds: float) -> Any:
    """The coroutine's result; it is stopped when its time, or this thread's, is over."""

    async def bounded() -> Any:
        task = asyncio.ensure_future(make())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # else asyncio logs it, URL and all
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=CLOSING_S)
        if not done:
            raise TimeIsUpError(seconds)
        return task.result()

    future = asyncio.run_coroutine_threadsafe(bounded(), loop)
    try:
        return future.result()
    finally:
        future.cancel()  # Ctrl-C
