"""Progress bars in Jupyter notebooks: a line for each piece of work, updated in place.

IPython updates the line itself, so no widgets are needed.
"""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError
from gluon_lifted.progress import QUIET_S, always_progress_to, pace

if TYPE_CHECKING:
    from collections.abc import Callable

UPDATE_EVERY_S = 0.2


def show_progress() -> None:
    """Show the progress of training, embedding and all other work from now on, in this Jupyter notebook.

    Raises
    ------
    ConfigError
        If Python does not run in a notebook.

    Examples
    --------
    >>> from gluon_lifted import show_progress  # doctest: +SKIP
    >>> show_progress()  # doctest: +SKIP
    """
    if not _in_notebook():
        raise ConfigError(
            "show_progress works in Jupyter notebooks only. In a program, pass a function to "
            "gluon_lifted.progress.progress_to."
        )
    always_progress_to(NotebookProgress)


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


class NotebookProgress:
    """Progress, rate and time left of a piece of work that takes a second or more.

    Parameters
    ----------
    label : str
        Name of the work, e.g. ``"embed"``.
    total : int, optional
        Units of work in the whole run, if known.
    unit : str
        Plural, e.g. ``"images"``.
    start : int
        Units done by an earlier run that this one resumes. The rate leaves them out.
    now : callable
        The clock, in seconds; tests pass their own.
    """

    def __init__(
        self,
        label: str,
        total: int | None,
        unit: str = "images",
        start: int = 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label, self._total, self._unit, self._start, self._now = label, total, unit, start, now
        self._done, self._text = start, ""
        self._began = self._shown_at = now()
        self._handle: Any = None

    def __enter__(self) -> NotebookProgress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._handle is not None:
            self._handle.update(self)

    def update(self, done: int, text: str = "") -> None:
        """Show that ``done`` units are complete, followed by ``text``, e.g. ``"3 failed"``."""
        self._done, self._text = done, text
        now = self._now()
        if self._handle is None and now - self._began >= QUIET_S:
            from IPython.display import display

            self._handle, self._shown_at = display(self, display_id=True), now
        elif self._handle is not None and now - self._shown_at >= UPDATE_EVERY_S:
            self._handle.update(self)
            self._shown_at = now

    def __repr__(self) -> str:
        total = "" if self._total is None else f" of {self._total:,}"
        return ", ".join(
            part for part in (f"{self._label}: {self._done:,}{total} {self._unit}", self._rate(), self._text) if part
        )

    def _repr_html_(self) -> str:
        share = "" if self._total is None else f' max="{self._total}" value="{self._done}"'
        bar = f'<progress style="width: 12em; vertical-align: middle"{share}></progress>'
        return f'<div style="font-variant-numeric: tabular-nums">{bar} {html.escape(repr(self))}</div>'

    def _rate(self) -> str:
        """Return rate and time left, e.g. ``92.1 images/s, 1:20 left``."""
        left = None if self._total is None else self._total - self._done
        return pace(self._done - self._start, left, self._now() - self._began, self._unit)
