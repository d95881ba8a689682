"""Event files of a run, for TensorBoard."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import MissingPackageError, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLUSH_SECONDS = 10.0  # a flush waits for the disk


class EventLog:
    """Scalars of a run, in an event file of their own. Use as a context manager.

    A run that is resumed adds a file to the folder. It begins with the mark by which TensorBoard drops what earlier
    files hold from iteration ``start + 1`` on, so that no iteration shows twice.

    Parameters
    ----------
    folder : Path
        For ``tensorboard --logdir``; made if it is not there.
    start : int
        Iterations done before: 0, or those of the checkpoint resumed from.

    Raises
    ------
    MissingPackageError
        If tensorboardX is not installed.
    RunError
        If the file cannot be written, on a full disk for instance; when made, written to or closed.

    Notes
    -----
    Events are written by the caller's thread. tensorboardX's own ``SummaryWriter`` hands them to another, and once
    that has died of a full disk, training would wait for it for ever.
    """

    def __init__(self, folder: Path, start: int) -> None:
        writers, self._proto, self._summary = require_tensorboardx()
        self._folder = folder
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            # The name holds the second and the host; the suffix keeps two tries in a second apart, and in order
            self._events = writers.EventsWriter(str(folder.resolve() / "events"), f".{start:09d}")
        # What TensorBoard calls purging: in a file of version 2, which the writer begins, a session that restarts
        started = self._proto.SessionLog(status=self._proto.SessionLog.START)
        self._add(self._proto.Event(step=start + 1, session_log=started))
        self._flush()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing():
            self._events.close()

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """Add the values of ``iteration``, counted from 1; those that are not finite are left out."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        scalars = [self._summary.Summary.Value(tag=name, simple_value=value) for name, value in finite.items()]
        self._add(self._proto.Event(step=iteration, summary=self._summary.Summary(value=scalars)))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()

    def _add(self, event: Any) -> None:
        event.wall_time = time.time()
        with self._writing():
            self._events.write_event(event)

    def _flush(self) -> None:
        with self._writing():
            self._events.flush()
        self._flushed = time.monotonic()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self._folder}: cannot be written ({error.strerror}); "
                "make room and run the same command with --resume."
            ) from None


def require_tensorboardx() -> tuple[Any, Any, Any]:
    """Its modules that write events. Raises `MissingPackageError` if it is not installed."""
    try:
        from tensorboardX import event_file_writer
        from tensorboardX.proto import event_pb2, summary_pb2
    except ModuleNotFoundError as error:
        if error.name != "tensorboardX":
            raise
        raise MissingPackageError(
            "tensorboardX is not installed; writing for TensorBoard needs it: pip install 'gluon-lifted[tensorboard]'."
        ) from None
    return event_file_writer, event_pb2, summary_pb2
