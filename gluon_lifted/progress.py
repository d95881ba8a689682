"""Progress of long-running work. The library reports it and prints nothing itself.

The command line runs the library inside ``with progress_to(...)``, and shows bars. `gluon_lifted.show_progress` shows
them in notebooks.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


QUIET_S = 1.0  # shorter work leaves nothing on the screen


class Progress(Protocol):
    """One piece of work in progress."""

    def update(self, done: int, text: str = "") -> None:
        """Report that ``done`` units are complete, with details in ``text`` such as ``"3 failed"``."""


class OpenProgress(Protocol):
    """Function that opens the progress of a piece of work."""

    def __call__(
        self, label: str, total: int | None, unit: str = "images", start: int = 0
    ) -> AbstractContextManager[Progress]:
        """Open progress when work begins. The context manager exits when the work ends."""


class _Silent:
    def update(self, done: int, text: str = "") -> None: ...


def _silent(label: str, total: int | None, unit: str = "images", start: int = 0) -> AbstractContextManager[Progress]:
    return nullcontext(_Silent())


@dataclass
class _Default:
    """Opens progress outside of `progress_to`, in all threads."""

    open: OpenProgress


_default = _Default(_silent)
_of_block: ContextVar[OpenProgress | None] = ContextVar("progress", default=None)


def always_progress_to(show: OpenProgress) -> None:
    """Show the progress of all work from now on, in all threads, where no `progress_to` says otherwise.

    Parameters
    ----------
    show : callable
        Takes label, total, unit and start, as `open_progress` does.
    """
    _default.open = show


@contextmanager
def progress_to(show: OpenProgress) -> Iterator[None]:
    """Show the progress of all work inside the block.

    Parameters
    ----------
    show : callable
        Takes label, total, unit and start, as `open_progress` does.
    """
    token = _of_block.set(show)
    try:
        yield
    finally:
        _of_block.reset(token)


def open_progress(
    label: str, total: int | None, unit: str = "images", start: int = 0
) -> AbstractContextManager[Progress]:
    """Open the progress of work that takes a while.

    Parameters
    ----------
    label : str
        Name of the work, e.g. ``"embed"``.
    total : int, optional
        Units of work in the whole run, if known.
    unit : str
        Plural, e.g. ``"images"``.
    start : int
        Units done by an earlier run that this one resumes.
    """
    return (_of_block.get() or _default.open)(label, total, unit, start)


def pace(done: int, left: int | None, seconds: float, unit: str) -> str:
    """Format rate and time left, e.g. ``92.1 images/s, 1:20 left``; empty before anything is done.

    Parameters
    ----------
    done : int
        Units done by this run.
    left : int or None
        Units to do; None if unknown.
    seconds : float
        What this run has taken so far.
    unit : str
        Plural, e.g. ``"images"``.

    Examples
    --------
    >>> pace(921, 7368, 10.0, "images"), pace(921, 0, 10.0, "images"), pace(921, None, 10.0, "images")
    ('92.1 images/s, 1:20 left', '92.1 images/s, took 10 s', '92 images/s')
    """
    if done <= 0 or seconds <= 0:
        return ""
    rate = done / seconds
    if left is None:
        return f"{rate:,.0f} {unit}/s"
    if left <= 0:
        return f"{rate:.1f} {unit}/s, took {clock(seconds)}"
    return f"{rate:.1f} {unit}/s, {clock(left / rate)} left"


def clock(seconds: float) -> str:
    """Format seconds as ``41 s``, ``3:07`` or ``2:03:07``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
