"""Run MXNet's scheduler or server: `python -m gluon_lifted.distributed.server_process ROLE SECONDS`."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gluon_lifted.distributed.spec import Limits

SCHEDULER, SERVER = "scheduler", "server"
SCHEDULER_NODE, WORKER_NODES = 1, 4  # groups of nodes in ps-lite (ps/base.h)
HOST_SILENT = 3  # exit status of the scheduler


class Process:
    """The scheduler or the server in a separate process, which ends with this one."""

    def __init__(self, role: str, variables: Mapping[str, str], silence: int) -> None:
        self._role, self._silence = role, silence
        environment = {name: value for name, value in os.environ.items() if name != "DMLC_ROLE"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gluon_lifted.distributed.server_process", role, str(silence)],
            cwd=Path(__file__).parents[2],  # the parent of gluon_lifted
            env={**environment, **variables},
            stdin=subprocess.PIPE,  # closes whenever this process ends
            stdout=subprocess.DEVNULL,  # stdout is for results
            start_new_session=True,  # keeps Ctrl-C away: the training needs the server to end in order
        )

    def check(self) -> None:
        """Raise `RunError` if the process has ended."""
        status = self._process.poll()
        if status == HOST_SILENT:
            raise RunError(
                f"no sign of life from a host for {self._silence} s. It has ended, or cannot be reached. "
                "Start all hosts again with --resume."
            )
        if status is not None:
            raise RunError(f"the {self._role} has ended (status {status}). Start all hosts again with --resume.")

    def wait(self, limit: float) -> None:
        """Wait at most ``limit`` seconds for the process to end."""
        with suppress(subprocess.TimeoutExpired):  # `end` follows
            self._process.wait(limit)

    def end(self) -> None:
        """Kill the process and close its pipe."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def processes(roles: Sequence[str], variables: Mapping[str, str], limits: Limits) -> Iterator[list[Process]]:
    """Start processes and end them with the block, or when a later one fails to start."""
    with ExitStack() as stack:
        started = [_started(Process(role, variables, limits.silence), stack) for role in roles]
        yield started
        for process in started:
            process.wait(limits.reach)


def _started(process: Process, stack: ExitStack) -> Process:
    stack.callback(process.end)
    return process


def silent_nodes(store: Any, group: int, seconds: int) -> int:
    """Count the nodes of a ps-lite group without a sign of life for ``seconds``."""
    from gluon_lifted.mx import mx

    count = ctypes.c_int()
    mx.base.check_call(mx.base._LIB.MXKVStoreGetNumDeadNode(store.handle, group, ctypes.byref(count), seconds))
    return count.value


def _serve(role: str, silence: int) -> None:
    """Run the scheduler or the server until all hosts have left."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from gluon_lifted.mx import mx

    class Server(mx.kvstore.KVStoreServer):
        def _controller(self) -> Callable[..., None]:
            return lambda *_: None  # MXNet's own unpickles, and so can execute, what any host sends

    # Only now: with this variable set, importing MXNet would run MXNet's own server
    os.environ["DMLC_ROLE"] = role
    store = mx.kv.create("dist_sync")
    if role == SCHEDULER:
        threading.Thread(target=_end_with_any_host, args=(store, silence), daemon=True).start()
    Server(store).run()


def _end_with_parent() -> None:
    os.read(0, 1)  # returns when the pipe closes
    os._exit(1)


def _end_with_any_host(store: Any, silence: int) -> None:
    from gluon_lifted.mx import mx

    with suppress(mx.base.MXNetError):  # all hosts have left
        while True:
            time.sleep(silence)
            if silent_nodes(store, WORKER_NODES, silence):
                os._exit(HOST_SILENT)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
