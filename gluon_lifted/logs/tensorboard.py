"""Write TensorBoard event files of a run."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import MissingPackageError, RunError
from gluon_lifted.extras import install_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLUSH_SECONDS = 10.0  # a flush waits for the disk


class EventLog:
    """An event file with the scalars of a run. Use as a context manager.

    A resumed run adds a file to the folder. It begins with a session start, at which TensorBoard drops what earlier
    files hold from iteration ``start + 1`` on, so that no iteration appears twice.

    Parameters
    ----------
    folder : Path
        For ``tensorboard --logdir``. Created if missing.
    start : int
        Iterations done before: 0, or that of the checkpoint.

    Raises
    ------
    MissingPackageError
        If tensorboardX is not installed.
    RunError
        If the file cannot be written, for example on a full disk: when opened, written or closed.

    Notes
    -----
    The caller's thread writes the events. tensorboardX's ``SummaryWriter`` uses another thread. When a full disk ends
    that thread, training would wait for it forever.
    """

    def __init__(self, folder: Path, start: int) -> None:
        writers, self._proto, self._summary = require_tensorboardx()
        self._folder = folder
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            # The name has the second and the host; the suffix distinguishes and sorts two starts within a second
            self._events = writers.EventsWriter(str(folder.resolve() / "events"), f".{start:09d}")
        # TensorBoard purges earlier events at a session start in a file of version 2, as this writer makes
        started = self._proto.SessionLog(status=self._proto.SessionLog.START)
        self._add(self._proto.Event(step=start + 1, session_log=started))
        self._flush()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing():
            self._events.close()

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """Add the finite values of ``iteration``, counted from 1."""
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
                f"{self._folder}: cannot be written ({error.strerror}). "
                "Make room, and run the same command with --resume."
            ) from None


def require_tensorboardx() -> tuple[Any, Any, Any]:
    """Import tensorboardX's modules that write events. Raises `MissingPackageError` if it is not installed."""
    try:
        from tensorboardX import event_file_writer
        from tensorboardX.proto import event_pb2, summary_pb2
    except ModuleNotFoundError as error:
        if error.name != "tensorboardX":
            raise
        raise MissingPackageError(
            f"tensorboardX is not installed, and --tensorboard needs it. Install it: `{install_command('tensorboard')}`"
        ) from None
    return event_file_writer, event_pb2, summary_pb2
