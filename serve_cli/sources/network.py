"""Calls over a network: bounded in time, tried again where that may help, and spared for hosts that are down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from serve_cli.sources.hosts import HostDownError, Hosts
from serve_cli.sources.patience import Patience, TimeIsUpError, seconds_left

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from serve_cli.sources.patience import Failure

SOURCE_TIMEOUT_S = 600.0  # of one call that is not for a single image: a part of a table, a list of names
CLOSING_S = 5.0  # for a call that was stopped to end
HOSTS = Hosts()

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
    patience: Patience | None = None,
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
    patience : Patience, optional
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
            HOSTS.require_up(host)
        try:
            result = _run(loop, make, seconds)
        except Exception as error:
            _count(host, error)
            raise
        HOSTS.answered(host)
        return result

    def may_pass(error: Exception) -> float | None:
        if failure is None or isinstance(error, (HostDownError, TimeIsUpError)):
            return None
        return None if left is not None and HOSTS.is_down(host) else failure(error)

    patience = patience or Patience(SOURCE_TIMEOUT_S)
    return (patience if left is None else patience.within(left)).persist(attempt, may_pass)


def _count(host: str, error: Exception) -> None:
    """Count an answer or a failure of a host; what a file or a URL has wrong is neither."""
    if has_no_answer(error):
        HOSTS.failed(_blamed(host, error))
    elif any(kind.__name__ in ANSWER for kind in type(error).__mro__):
        HOSTS.answered(host)


def _blamed(host: str, error: Exception) -> str:
    """The host that could not be connected to: not the asked one where that one redirected to it."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ClientConnectorError" not in names or "ClientProxyConnectionError" in names:
        return host
    found: Any = error
    return f"[{found.host}]:{found.port}" if ":" in found.host else f"{found.host}:{found.port}"


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
