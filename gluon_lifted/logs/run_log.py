"""The log of a run: values of each iteration as JSON lines and, optionally, TensorBoard events."""

from __future__ import annotations

import json
import math
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

METRICS_FILE, EVENTS_FOLDER = "metrics.jsonl", "tensorboard"


@dataclass(frozen=True)
class TrainProgress:
    """State of a run after an iteration.

    Parameters
    ----------
    iteration, iterations : int
        Iterations done, and to do in total.
    loss, learning_rate : float
        Values of this iteration.
    images_per_second : float
        Since the start of the run.
    waiting : float
        Share of the time since the start in which the network waited for images.
    recall : float or None
        Recall@1, if it was measured after this iteration.
    """

    iteration: int
    iterations: int
    loss: float
    learning_rate: float
    images_per_second: float
    waiting: float
    recall: float | None

    def values(self) -> dict[str, float]:
        """Return the finite values to log."""
        values = {
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            "images_per_second": round(self.images_per_second, 2),
            "waiting": round(self.waiting, 4),
        }
        if self.recall is not None:
            values["recall@1"] = self.recall
        return {name: value for name, value in values.items() if math.isfinite(value)}


@contextmanager
def run_log(run: Path, start: int, *, tensorboard: bool) -> Iterator[Callable[[TrainProgress], None]]:
    """Open the run's logs to append an entry per iteration. Entries after iteration ``start`` are dropped.

    Raises
    ------
    RunError
        If the log cannot be written, for example on a full disk.
    """
    path = run / METRICS_FILE
    with ExitStack() as stack:
        try:
            _drop_after(path, start)
            file = path.open("a", buffering=1)
            stack.callback(_close, file)
            events = None
            if tensorboard:
                from gluon_lifted.logs.tensorboard import EventLog

                events = stack.enter_context(EventLog(run / EVENTS_FOLDER, start))
        except OSError as error:
            raise _unwritable(path, error) from None

        def write(progress: TrainProgress) -> None:
            values = progress.values()
            try:
                file.write(json.dumps({"iteration": progress.iteration} | values) + "\n")
                if events is not None:
                    events.write(progress.iteration, values)
            except OSError as error:
                raise _unwritable(path, error) from None

        yield write


def sync_log(run: Path) -> None:
    """Flush the log's lines to disk: a checkpoint that is saved next covers them. Raises `RunError` on failure."""
    path = run / METRICS_FILE
    try:
        sync(path)
    except OSError as error:
        raise _unwritable(path, error) from None


def last_values(run: Path, start: int) -> tuple[float | None, float | None]:
    """Return the last loss and recall that were logged up to iteration ``start``; None if there are none."""
    path = run / METRICS_FILE
    values: dict[str, float] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            if _iteration_of(line) <= start:
                values |= json.loads(line)
    return values.get("loss"), values.get("recall@1")


def _close(file: TextIO) -> None:
    """Close without an error: a full disk was reported by the write that failed."""
    with suppress(OSError):
        file.close()


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(f"{path}: cannot be written ({error.strerror}). Make room, and run the same command with --resume.")


def _drop_after(path: Path, start: int) -> None:
    kept = []
    if path.exists():
        kept = [line for line in path.read_text().splitlines() if _iteration_of(line) <= start]
    with replaced_file(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in kept))


def _iteration_of(line: str) -> float:
    """Return the iteration of a log line; infinity, so that it is dropped, if a crash truncated the line."""
    try:
        return float(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
