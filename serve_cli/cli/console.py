"""Console output: progress on stderr, results on stdout as tables or as JSON.

Functions import Rich themselves, so that `lifted --help` stays instant.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import textwrap
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from gluon_lifted.errors import RunError
from gluon_lifted.progress import QUIET_S, clock, pace, progress_to
from serve_cli.cli.wrapping import wrap_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    import rich.progress
    from rich.console import Console, ConsoleOptions
    from rich.measure import Measurement
    from rich.text import Text

GAP = 3  # between two columns
SHORTEST_HEAD = 12  # characters of a line of a heading
SHORTEST_BAR = 5  # characters
LINE_EVERY_S = 10.0  # between progress lines where there is no terminal


class ResultStream(io.TextIOWrapper):
    """Standard output that escapes characters its encoding lacks, and raises `RunError` if a write fails.

    Parameters
    ----------
    stream : TextIOWrapper
        Python's own stdout, which is detached and unusable afterwards.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        encoding, line_buffering, write_through = stream.encoding, stream.line_buffering, stream.write_through
        super().__init__(
            stream.detach(),
            encoding=encoding,
            errors="backslashreplace",
            line_buffering=line_buffering,
            write_through=write_through,
        )
        self._failure: RunError | None = None

    def write(self, text: str) -> int:
        """Write text. Raise `RunError` if this or an earlier write failed, and `BrokenPipeError` without a reader."""
        with self._explained():
            if self._failure is not None:  # the caller of the failed write may have ignored the error
                raise self._failure
            return super().write(text)

    def flush(self) -> None:
        """Flush the stream. Raise as `write` does."""
        with self._explained():
            super().flush()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise  # not an error: the reader has closed the pipe
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # else Python writes again at exit
            self._failure = RunError(f"the results cannot be written to standard output ({error.strerror}).")
            raise self._failure from None


def say(message: str) -> None:
    """Print a message on stderr. A terminal shows it in whole words."""
    columns = os.get_terminal_size(sys.stderr.fileno()).columns if sys.stderr.isatty() else 0
    typer.echo(wrap_message(message, columns) if columns else message, err=True)  # some terminals have no size


class ConsoleHandler(logging.Handler):
    """Prints the library's log messages on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message, without level or time."""
        say(record.getMessage())


@contextmanager
def library_on_console() -> Iterator[None]:
    """Show the library's log messages and progress on stderr."""
    logger, handler = logging.getLogger("serve_cli"), ConsoleHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with progress_to(Progress):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def print_json(value: object) -> None:
    """Print one JSON object on stdout."""
    typer.echo(json.dumps(value, indent=2, default=str))


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values on stdout, one pair per line."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(name, Text(str(value)))
    Console(highlight=False).print(grid)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
    """Print a table on stdout. The first ``left`` columns hold text, the others numbers.

    Columns that do not fit into the console's width follow in further tables, which repeat the text columns.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, lines = Console(highlight=False), [list(row) for row in rows]
    cells = list(zip(*lines, strict=True)) or [()] * len(columns)
    heads = [name if number < left else _wrapped(name, cells[number]) for number, name in enumerate(columns)]
    widths = [max(map(len, (*head.split("\n"), *column))) + GAP for head, column in zip(heads, cells, strict=True)]
    for shown in _columns_of_tables(widths, left, console.width):
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for number in shown:
            justify: Any = "left" if number < left else "right"
            table.add_column(Text(heads[number]), justify=justify, no_wrap=number >= left, overflow="fold")
        for line in lines:
            table.add_row(*(Text(line[number]) for number in shown))
        console.print(table)


def _wrapped(head: str, cells: Sequence[str]) -> str:
    """Break the heading of a column into lines as long as its cells, so that long names do not widen the table."""
    return "\n".join(textwrap.wrap(head, max((SHORTEST_HEAD, *map(len, cells))), break_long_words=False))


def _columns_of_tables(widths: Sequence[int], left: int, available: int) -> list[list[int]]:
    """Return the columns of each table: all text columns, and as many others as fit, at least one."""
    tables: list[list[int]] = []
    text = list(range(left))
    for number in range(left, len(widths)):
        if not tables or sum(widths[column] for column in tables[-1]) + widths[number] > available:
            tables.append([*text])
        tables[-1].append(number)
    return tables or [text]


class Progress:
    """Progress, rate and time left of a run: a bar on a terminal, otherwise a line every 10 s.

    The bar of work that took less than a second disappears.

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
        The clock, in seconds. Tests pass their own.

    Examples
    --------
    >>> with Progress("embed", total=100) as progress:
    ...     progress.update(50, "3 failed")
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
        self._began = self._last_line = now()
        self._done = start
        self._bar: rich.progress.Progress | None = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        self._began = self._last_line = self._now()
        if sys.stderr.isatty():
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(
                self._label, total=self._total, completed=self._start, count=self._count(self._start), status="starting"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is None:
            return
        seconds = self._now() - self._began
        if self._total is None and error is None:  # the total is known now
            self._bar.update(self._task, total=self._done, completed=self._done, status=f"took {clock(seconds)}")
        self._bar.live.transient = seconds < QUIET_S
        self._bar.stop()

    def update(self, done: int, text: str = "") -> None:
        """Show that ``done`` units are complete, followed by ``text``, e.g. ``"loss 3.21"``."""
        self._done = done
        if self._bar is not None:
            parts = [*reversed(self.status(done).split(", "))]  # the time left comes first: the end may not fit
            status = ", ".join([*parts, *([text] if text else [])])
            self._bar.update(self._task, completed=done, count=self._count(done), status=status)
        elif self._now() - self._last_line >= LINE_EVERY_S:
            self._last_line = self._now()
            total = "" if self._total is None else f" of {self._total:,}"
            say(f"{self._label}: {done:,}{total} {self._unit}, {self.status(done)}{f'  {text}' if text else ''}")

    def _count(self, done: int) -> str:
        return f"{done:,} {self._unit}" if self._total is None else f"{done:,}/{self._total:,}"

    def status(self, done: int) -> str:
        """Return rate and time left, e.g. ``92.1 images/s, 1:20 left``."""
        left = None if self._total is None else self._total - done
        return pace(done - self._start, left, self._now() - self._began, self._unit) or "starting"


@dataclass(frozen=True)
class _WholeParts:
    """Text whose parts, separated by commas, are left out from the last one on if they do not fit."""

    text: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.cells import cell_len
        from rich.measure import Measurement

        return Measurement(1, min(cell_len(self.text), options.max_width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.cells import cell_len
        from rich.text import Text

        parts = self.text.split(", ")
        while len(parts) > 1 and cell_len(", ".join(parts)) > options.max_width:
            parts.pop()
        yield Text(", ".join(parts), overflow="ellipsis", no_wrap=True)


def _bar() -> rich.progress.Progress:
    """Return a line in which counts stay whole: the bar shrinks first, then the last parts of the status go."""
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    class Status(ProgressColumn):
        def render(self, task: rich.progress.Task) -> _WholeParts:
            return _WholeParts(task.fields["status"])

    return Bar(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[count]}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(ratio=1, width=SHORTEST_BAR)),
        Status(),
        console=Console(stderr=True),
        expand=True,
    )
