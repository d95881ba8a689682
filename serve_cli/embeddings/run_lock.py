"""Lock an embedding folder while a run writes to it. A lock ends with its process."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from gluon_lifted.errors import RunError
from gluon_lifted.files import is_at, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER_LOCK = ".run.lock"  # exclusive to a single run, or shared by the tasks of a job array
TASK_LOCK = ".task-{index}-of-{count}.lock"  # exclusive to one task; contains its owner
MAX_OWNER_BYTES = 1 << 12


@contextmanager
def run_lock(folder: Path, index: int, count: int) -> Iterator[None]:
    """Keep other runs out of a folder, except for the other tasks of the same job array.

    Parameters
    ----------
    folder : Path
        An existing folder. On a file system without locks nothing is locked.
    index, count : int
        Task index and task count of this run; 0 and 1 for a single run.

    Raises
    ------
    RunError
        If another run, or another process with the same task index, is writing to the folder.
    """
    with ExitStack() as stack:
        _hold(stack, folder / FOLDER_LOCK, shared=count > 1)
        task = _hold(stack, folder / TASK_LOCK.format(index=index, count=count), shared=False)
        os.write(task, _owner().encode())
        yield


def _hold(stack: ExitStack, path: Path, *, shared: bool) -> int:
    """Lock a file until the stack is closed. Return the open handle."""
    handle = _acquire(path, shared=shared)
    if handle is None:
        raise _busy(path.parent)
    stack.callback(_release, path, handle)
    return handle


def _acquire(path: Path, *, shared: bool) -> int | None:
    """Open and lock a file, or return None if another process holds its lock."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if try_lock(handle, shared=shared) is False:
            os.close(handle)
            return None
        if is_at(handle, path):
            os.truncate(handle, 0)  # a killed process may have left its owner text
            return handle
        os.close(handle)  # the previous owner removed the file in the meantime


def _release(path: Path, handle: int) -> None:
    """Release a lock and remove its file, unless other tasks still share it."""
    if try_lock(handle) is not False:
        path.unlink(missing_ok=True)
    os.close(handle)


def _owner() -> str:
    """Return host, process and start time of this run as JSON."""
    started = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return json.dumps({"host": socket.gethostname(), "process": os.getpid(), "started": started})


def _busy(folder: Path) -> RunError:
    owners = [owner for path in sorted(folder.glob(TASK_LOCK.format(index="*", count="*"))) if (owner := _read(path))]
    who = f" ({owners[0]})" if owners else ""
    return RunError(
        f"{folder}: another run is writing to it{who}. Wait until it ends, or stop it. To let several runs share "
        "the folder, give each --num-tasks and its own --task-index."
    )


def _read(path: Path) -> str | None:
    """Describe the owner of a lock, or return None if nobody holds it."""
    try:
        with path.open("rb") as file:
            if try_lock(file.fileno(), shared=True) is not False:
                return None
            owner = json.loads(file.read(MAX_OWNER_BYTES))
        return f"process {int(owner['process'])} on {owner['host']!s:.100}, started {owner['started']!s:.40}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # the owner has just ended, or has not been written yet
