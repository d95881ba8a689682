"""Make network calls within a time limit, and retry while that may help."""

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
PAUSE_S = 0.4  # longest pause before the second attempt; doubles with each attempt

_limit: ContextVar[tuple[float, float] | None] = ContextVar("limit", default=None)  # seconds, and the end time


class TimeIsUpError(OSError):
    """A call was not complete within ``seconds``, or within the surrounding `time_limit`."""

    def __init__(self, seconds: float) -> None:
        limit = _limit.get()
        cure = "; --image-timeout sets how long one image may take" if limit else ""
        super().__init__(f"not complete after {limit[0] if limit else seconds:g} s{cure}")


class Failure(Protocol):
    """Decides whether an error is worth another attempt."""

    def __call__(self, error: Exception) -> float | None:
        """Return the seconds that the server asks to wait, or 0. None if the error is permanent."""


@dataclass(frozen=True)
class RetryPolicy:
    """Retry while an attempt may still succeed, within a total time.

    Pauses have full jitter: their length is drawn between 0 and a bound that doubles ("Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015), so that threads that failed together do not retry together. If a server says when to
    retry (RFC 9110, 10.2.3) and there is time, the pause is that long, and the attempt does not count.

    Parameters
    ----------
    seconds : float
        Total time of attempts and pauses.
    attempts : int
        Maximum number of failed attempts.
    pause_s : float
        Upper bound of the first pause.
    clock, sleep, jitter : callable
        As in `time` and `random`. Tests pass their own.
    """

    seconds: float
    attempts: int = ATTEMPTS
    pause_s: float = PAUSE_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[float, float], float] = random.uniform

    def within(self, seconds: float) -> RetryPolicy:
        """Return the same policy with another total time."""
        return replace(self, seconds=seconds)

    def run(self, attempt: Callable[[float], T], failure: Failure) -> T:
        """Call ``attempt`` with the remaining seconds until it succeeds.

        Raises
        ------
        Exception
            The last attempt's error, if it is permanent, the attempts are used up, or no time is left for another.
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
            except Exception as error:  # ``failure`` decides; permanent errors are raised again
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
    """Limit the total time that this thread spends reading over a network within the context."""
    token = _limit.set((seconds, time.monotonic() + seconds))
    try:
        yield
    finally:
        _limit.reset(token)


def seconds_left() -> float | None:
    """Return the remaining seconds of the innermost `time_limit`, at least 0, or None outside of one."""
    limit = _limit.get()
    return None if limit is None else max(limit[1] - time.monotonic(), 0.0)


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds in a server's ``Retry-After``: a number, or a date by the server's clock; 0 if absent."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value[:20])
    retry_time, now = _date(value), _date(headers.get("Date", ""))
    if retry_time is None:
        return 0.0
    return max(retry_time - (time.time() if now is None else now), 0.0)


def _date(text: str) -> float | None:
    """Parse an HTTP date to seconds since 1970. None if it is not a date."""
    try:
        date: datetime = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


SOURCE_TIMEOUT_S = 600.0  # per call that is not for a single image, e.g. part of a table or a list of names
CLOSING_S = 5.0  # time for a canceled call to end
BREAKER = CircuitBreaker()

# Class names of aiohttp, botocore and Python; by name, because any of these libraries may be missing.
NO_ANSWER = frozenset({"TimeoutError", "ConnectionError", "ClientConnectionError", "HTTPClientError"})
ANSWER = frozenset({"StatusError", "FileNotFoundError", "PermissionError"})


def has_no_answer(error: BaseException) -> bool:
    """Whether an error means that a host did not answer in time."""
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
    """Run a coroutine on fsspec's thread.

    Parameters
    ----------
    loop : event loop
        The event loop of that thread.
    host : str
        Counts as down after several calls without an answer. Within a `time_limit`, nothing is sent to a host that is
        down. Without one it is tried, because a whole run may depend on the answer.
    make : callable
        Makes the coroutine of each attempt.
    failure : callable, optional
        Decides which errors to retry. Without it there is one attempt.
    policy : RetryPolicy, optional
        Its total time applies outside of a `time_limit` only.

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
    """Count an answer or a failure of a host. An error of a file or URL is neither."""
    if has_no_answer(error):
        BREAKER.failed(_blamed(host, error))
    elif any(kind.__name__ in ANSWER for kind in type(error).__mro__):
        BREAKER.answered(host)


def _blamed(host: str, error: Exception) -> str:
    """Return the host that refused the connection: after a redirect, the target and not ``host``."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ClientConnectorError" not in names or "ClientProxyConnectionError" in names:
        return host
    refused: Any = error
    return f"[{refused.host}]:{refused.port}" if ":" in refused.host else f"{refused.host}:{refused.port}"


def _run(loop: Any, make: Callable[[], Coroutine[Any, Any, Any]], seconds: float) -> Any:
    """Run a coroutine and return its result. Cancel it when its time is up or this thread is interrupted."""

    async def bounded() -> Any:
        task = asyncio.ensure_future(make())
        # Retrieve the exception, or asyncio logs it together with the URL.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
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
