"""Connect a host to a cluster: sum arrays of all hosts in MXNet's parameter server."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.distributed.collectives import ALONE, Cluster, HostsDifferError
from gluon_lifted.distributed.server_process import (
    SCHEDULER,
    SCHEDULER_NODE,
    SERVER,
    Process,
    processes,
    silent_nodes,
)
from gluon_lifted.distributed.spec import MAX_HOSTS, ClusterSpec, Limits
from gluon_lifted.errors import (
    ConfigError,
    LiftedError,
    RunError,
    Terminated,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL_SECONDS = 1.0
CONNECT_SECONDS = 5.0
INTERRUPTED, TERMINATED = 130, 143  # 128 + SIGINT and SIGTERM, as shells report them


@contextmanager
def join_cluster(spec: ClusterSpec | None, limits: Limits = Limits()) -> Iterator[Cluster]:
    """Train together with the other hosts within this block, or alone without a spec.

    All hosts leave the block together: each waits for the last. If a host ends, or leaves by an exception, the next
    sum of the others raises `RunError`. MXNet cannot cancel a transfer, so a process that has left a cluster by an
    exception cannot join another. It exits without further clean-up, with status 1 (130 after Ctrl-C).

    Raises
    ------
    ConfigError, RunError
        If the scheduler cannot be reached, or not all hosts join.
    """
    if spec is None:
        yield ALONE
        return
    address = spec.resolve()
    here = address if spec.rank == 0 else _address_towards(spec, address, limits.reach)
    variables = {
        "DMLC_PS_ROOT_URI": address,
        "DMLC_PS_ROOT_PORT": str(spec.port),
        "DMLC_NODE_HOST": here,  # the default is the first network interface
        "DMLC_NUM_WORKER": str(spec.hosts),
        "DMLC_NUM_SERVER": "1",
        "PS_HEARTBEAT_INTERVAL": "1",  # seconds
    }
    if spec.rank == 0:
        _check_free(spec, address)
    with processes((SCHEDULER, SERVER) if spec.rank == 0 else (), variables, limits) as running:
        os.environ.update(variables, DMLC_ROLE="worker")  # read when the store is created
        cluster = ServedCluster(spec, limits, running)
        try:
            cluster.open()
            yield cluster
            cluster.close()
        except BaseException as error:
            cluster.leave(error)
            raise


class ServedCluster(Cluster):
    """Several hosts that share MXNet's key-value store, whose server sums the pushed arrays."""

    def __init__(self, spec: ClusterSpec, limits: Limits, processes: list[Process]) -> None:
        self.size, self.index = spec.hosts, spec.rank
        self._spec, self._limits, self._processes = spec, limits, processes
        self._store: Any = None
        self._keys: set[str] = set()

    def open(self) -> None:
        """Connect to the other hosts. Check that all expect the same number of hosts and each rank is there once."""
        from gluon_lifted.mx import mx, nd

        absent = (
            f"not all {self.size} hosts joined at {self._spec.scheduler} within {self._limits.join:g} s. "
            f"Start the same command on each host, with --rank 0 to {self.size - 1}."
        )
        self._store = self._waited(lambda: mx.kv.create("dist_sync"), self._limits.join, RunError(absent))
        expected = np.zeros(MAX_HOSTS, np.float32)
        expected[self.index] = self.size
        expected = self.all_sum("hosts", nd.array(expected)).asnumpy()
        if not (expected[: self.size] == self.size).all() or expected[self.size :].any():
            raise HostsDifferError(
                "the hosts differ in --num-hosts, or two have the same --rank. "
                f"Start the same command on each host, with --rank 0 to {self.size - 1}."
            )

    def all_sum(self, name: str, array: Any) -> Any:
        """Sum the arrays of all hosts elementwise, on the server."""
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name}: expected float32 or float64, found {np.dtype(array.dtype)}")
        late = (
            f"another host did not reach {name!r} within {self._limits.stall:g} s. Start all hosts again with --resume."
        )
        total = self._waited(lambda: self._exchanged(name, array), self._limits.stall, RunError(late))
        return total.as_in_context(array.context)

    def _exchanged(self, name: str, array: Any) -> Any:
        from gluon_lifted.mx import mx, nd

        key = f"{name} {np.dtype(array.dtype)} {array.shape}"
        total = array.copyto(mx.cpu())  # a copy, because the store receives into the array that it sent
        if key not in self._keys:
            self._store.init(key, nd.zeros_like(total))
            self._keys.add(key)
        self._store.push(key, total)
        self._store.pull(key, out=total)
        total.wait_to_read()
        return total

    def _waited(self, function: Callable[[], Any], limit: float, late: LiftedError) -> Any:
        """Call a function that can block in MXNet forever, out of reach of Ctrl-C: in a thread, with a time limit."""
        outcome: Future[Any] = Future()

        def work() -> None:
            try:
                outcome.set_result(function())
            except Exception as error:  # raised again by ``outcome.result()``
                outcome.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        deadline = time.monotonic() + limit
        while not wait([outcome], min(POLL_SECONDS, limit)).done:
            self._check_alive()
            if time.monotonic() > deadline:
                raise late
        return outcome.result()

    def _check_alive(self) -> None:
        for process in self._processes:
            process.check()
        if self._store is not None and silent_nodes(self._store, SCHEDULER_NODE, self._limits.silence):
            raise RunError(
                f"no sign of life from the scheduler at {self._spec.scheduler} for {self._limits.silence} s. Host 0 or "
                "another host has ended, or cannot be reached. Start all hosts again with --resume."
            )

    def close(self) -> None:
        """Leave together with the other hosts. The scheduler and the server then end by themselves."""
        self.barrier()
        store, self._store, self._processes = self._store, None, []  # closing stops the signs of life
        late = RunError(f"training has finished, but the other hosts did not leave within {self._limits.reach:g} s.")
        self._waited(lambda: _free(store), self._limits.reach, late)

    def leave(self, error: BaseException) -> None:
        """Leave at once. A regular end would wait for the other hosts, perhaps forever."""
        if isinstance(error, HostsDifferError):  # the other hosts leave too
            with suppress(LiftedError):
                self.close()
                return
        if self._store is not None:
            _forget(self._store)
        stopped = TERMINATED if isinstance(error, Terminated) else INTERRUPTED
        status = stopped if isinstance(error, KeyboardInterrupt) else 1
        atexit.register(_exit_at_once, status)  # runs before MXNet's clean-up, which would also wait


def _free(store: Any) -> None:
    from gluon_lifted.mx import mx

    mx.base.check_call(mx.base._LIB.MXKVStoreFree(store.handle))
    _forget(store)


def _forget(store: Any) -> None:
    """Reset the store's handle, so that Python does not free it."""
    store.handle = type(store.handle)()


def _exit_at_once(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _check_free(spec: ClusterSpec, address: str) -> None:
    """Raise `ConfigError` if the scheduler cannot listen. It would end without a helpful message."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ps-lite does
        try:
            probe.bind((address, spec.port))
        except OSError as error:
            raise ConfigError(
                f"scheduler {spec.scheduler}: host 0 cannot listen there ({error.strerror}). "
                "Give an address of host 0 and a free port above 1023."
            ) from None


def _address_towards(spec: ClusterSpec, address: str, limit: float) -> str:
    """Return the local address of a connection to the scheduler, once the scheduler listens."""
    deadline = time.monotonic() + limit
    while (own := _own_address((address, spec.port))) is None:
        if time.monotonic() > deadline:
            raise RunError(
                f"scheduler {spec.scheduler}: cannot be reached within {limit:g} s. "
                "Start host 0 (--rank 0), and check the address and the firewall."
            )
        time.sleep(min(0.2, limit))
    return own


def _own_address(peer: tuple[str, int]) -> str | None:
    """Return the local address of a connection to ``peer``; None if nothing listens there."""
    try:
        with socket.create_connection(peer, CONNECT_SECONDS) as connection:
            return str(connection.getsockname()[0])
    except OSError:
        return None
