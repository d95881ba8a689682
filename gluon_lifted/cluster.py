"""Several machines that train together, through MXNet's own parameter server (``dist_sync``).

All machines hold the same weights and take the same steps. All they exchange are sums: `Cluster.all_sum` adds up
the arrays that the machines pass, and gives every machine the same result, bit for bit. Machine 0 also runs two
small processes, MXNet's scheduler, which introduces the machines to each other, and its server, which adds.

Machine 0 listens on the port of the scheduler; the server and every machine listen on a free port each. Nothing is
encrypted, and whoever reaches these ports can disturb the training: they belong on a private network.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import ConfigError, LiftedError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

MOST_MACHINES = 1024  # one server adds for all; long before that it is the bottleneck
BROADCAST_CHUNK = 1 << 20  # float64 numbers, 8 MiB: the server keeps a buffer of it for good
POLL_SECONDS = 1.0
CONNECT_SECONDS = 5.0
SCHEDULER, SERVER = "scheduler", "server"
SCHEDULER_NODE, WORKER_NODES = 1, 4  # groups of nodes in ps-lite (ps/base.h)
MACHINE_SILENT = 3  # exit status of our scheduler
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@dataclass(frozen=True)
class ClusterSpec:
    """Which machines train together.

    Parameters
    ----------
    machines : int
        How many, 1 to 1024.
    rank : int
        Which one this is, 0 to ``machines - 1``, each once. Machine 0 writes the run and runs the scheduler.
    scheduler : str
        ``"HOST:PORT"`` of machine 0, as all machines reach it: a name or an IPv4 address, and a free port.

    Raises
    ------
    ConfigError
    """

    machines: int
    rank: int
    scheduler: str

    def __post_init__(self) -> None:
        if not 1 <= self.machines <= MOST_MACHINES:
            raise ConfigError(f"machines is {self.machines}; expected 1 to {MOST_MACHINES}.")
        if not 0 <= self.rank < self.machines:
            raise ConfigError(f"rank is {self.rank}; expected 0 to {self.machines - 1}, another on each machine.")
        host, _, port = self.scheduler.rpartition(":")
        if not host or ":" in host or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16):
            raise ConfigError(f"scheduler {self.scheduler!r} is not understood; write HOST:PORT, like 10.0.0.1:9091.")

    @property
    def port(self) -> int:
        return int(self.scheduler.rpartition(":")[2])

    def resolve(self) -> str:
        """The IPv4 address of the scheduler. Raises `ConfigError` if its name is not known."""
        try:
            return socket.gethostbyname(self.scheduler.rpartition(":")[0])
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"scheduler {self.scheduler}: host is not known ({error}); give its address.") from None


@dataclass(frozen=True)
class Limits:
    """How long to wait, in seconds, before an error.

    Parameters
    ----------
    reach : float
        For the scheduler to answer, and for the cluster to close.
    join : float
        For the other machines to start the same command.
    silence : int
        Without a sign of life from a machine. Signs come each second, whatever it computes.
    stall : float
        For the other machines to come to the same sum: one may measure recall meanwhile.
    """

    reach: float = 60.0
    join: float = 600.0
    silence: int = 30
    stall: float = 3600.0


class Cluster:
    """One machine alone; all that several machines do follows from `all_sum`.

    Every machine makes the same calls in the same order, with the same names and shapes.

    Attributes
    ----------
    size, index : int
        How many machines there are, and which one this is: its rank.
    """

    size, index = 1, 0

    @property
    def is_writer(self) -> bool:
        """Whether this is the machine that writes the run folder."""
        return self.index == 0

    def all_sum(self, name: str, array: Any) -> Any:
        """The elementwise sum of all machines' arrays; the array itself where there is one machine.

        Every machine gets the same bits. With three machines or more the order of the addends, and so the rounding,
        depends on which comes first. It waits for the other machines, so it ends at the same time on all.

        Parameters
        ----------
        name : str
            Tells apart what is summed. Each name and shape keeps buffers of the array's size.
        array : mx.nd.NDArray, float32 or float64
            Not empty, which MXNet has no arrays for. Left as it is. The sum is a new array in the same context.

        Raises
        ------
        TypeError
            If the array is of another dtype.
        RunError
            If a machine has ended, is silent or does not come.
        """
        del name
        return array

    def all_sum_many(self, name: str, arrays: Sequence[Any]) -> list[Any]:
        """`all_sum` of arrays of one dtype and context, of any shapes, in one exchange; the sums share memory."""
        if self.size == 1 or not arrays:
            return list(arrays)
        from gluon_lifted.mx import nd

        total = self.all_sum(name, nd.concat(*(one.reshape((-1,)) for one in arrays), dim=0))
        ends = np.cumsum([one.size for one in arrays])
        return [total[int(end) - one.size : int(end)].reshape(one.shape) for one, end in zip(arrays, ends, strict=True)]

    def broadcast(self, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The writer's arrays, on every machine.

        Parameters
        ----------
        state : mapping of str to ndarray
            Numbers that float64 holds exactly. Other machines pass arrays of the same names, shapes and dtypes.

        Raises
        ------
        ConfigError
            If they do not.
        """
        if self.size == 1:
            return dict(state)
        self.require_same("network", repr([(name, one.shape, one.dtype.str) for name, one in state.items()]))
        from gluon_lifted.mx import nd

        flat = np.concatenate([np.zeros(0), *(one.ravel() for one in state.values())]).astype(np.float64)
        for start in range(0, len(flat), BROADCAST_CHUNK):
            part = flat[start : start + BROADCAST_CHUNK]  # a view
            sent = np.zeros(BROADCAST_CHUNK)
            if self.is_writer:
                sent[: len(part)] = part
            part[:] = self.all_sum("broadcast", nd.array(sent, dtype=np.float64)).asnumpy()[: len(part)]
        parts = np.split(flat, np.cumsum([one.size for one in state.values()]))
        return {
            name: part.astype(one.dtype).reshape(one.shape)
            for (name, one), part in zip(state.items(), parts[:-1], strict=True)
        }

    def any(self, name: str, flag: bool) -> bool:
        """Whether the flag is set on any machine."""
        if self.size == 1:
            return flag
        from gluon_lifted.mx import nd

        return bool(self.all_sum(name, nd.array([flag])).asscalar())

    def barrier(self) -> None:
        """Wait until all machines are here."""
        self.any("barrier", False)

    def require_same(self, what: str, text: str) -> None:
        """Raise `ConfigError`, on every machine, unless all pass the same ``text``; ``what`` names it."""
        if self.size == 1:
            return
        from gluon_lifted.mx import nd

        digests = np.zeros((self.size, hashlib.sha256().digest_size), np.float32)
        digests[self.index] = list(hashlib.sha256(text.encode()).digest())
        digests = self.all_sum("digest", nd.array(digests)).asnumpy()
        differs = np.flatnonzero((digests != digests[0]).any(axis=1))
        if len(differs):
            raise _MachinesDifferError(
                f"machine {differs[0]} has another {what} than machine 0; "
                "run the same command, with the same data and the same versions, on every machine."
            )


class _MachinesDifferError(ConfigError):
    """Raised on all machines at once, which therefore can leave in order."""


ALONE = Cluster()


@contextmanager
def join_cluster(spec: ClusterSpec | None, limits: Limits = Limits()) -> Iterator[Cluster]:
    """Train together with the other machines within this block; alone without a spec.

    All machines leave the block together: it waits for the last. Where a machine leaves it by an exception, or
    ends, the others get a `RunError` from their next sum. MXNet cannot take back what it has begun to send, so a
    process that has left a cluster by an exception cannot join another, and ends without further clean-up, with
    status 1 (130 after Ctrl-C).

    Raises
    ------
    ConfigError, RunError
        If the scheduler cannot be reached, or the machines do not come together.
    """
    if spec is None:
        yield ALONE
        return
    address = spec.resolve()
    here = address if spec.rank == 0 else _address_towards(spec, address, limits.reach)
    variables = {
        "DMLC_PS_ROOT_URI": address,
        "DMLC_PS_ROOT_PORT": str(spec.port),
        "DMLC_NODE_HOST": here,  # else ps-lite takes the first network interface it finds
        "DMLC_NUM_WORKER": str(spec.machines),
        "DMLC_NUM_SERVER": "1",
        "PS_HEARTBEAT_INTERVAL": "1",  # seconds
    }
    if spec.rank == 0:
        _check_free(spec, address)
    with _processes((SCHEDULER, SERVER) if spec.rank == 0 else (), variables, limits) as processes:
        os.environ.update(variables, DMLC_ROLE="worker")  # read when the store is made, not when MXNet is imported
        cluster = _ServedCluster(spec, limits, processes)
        try:
            cluster.open()
            yield cluster
            cluster.close()
        except BaseException as error:
            cluster.leave(error)
            raise


class _ServedCluster(Cluster):
    """Machines whose arrays meet in MXNet's key-value store: the server keeps the sum of what was pushed."""

    def __init__(self, spec: ClusterSpec, limits: Limits, processes: list[_Process]) -> None:
        self.size, self.index = spec.machines, spec.rank
        self._spec, self._limits, self._processes = spec, limits, processes
        self._store: Any = None
        self._keys: set[str] = set()

    def open(self) -> None:
        """Meet the other machines, and check that each rank is there once and all expect the same number."""
        from gluon_lifted.mx import mx, nd

        absent = (
            f"the {self.size} machines did not come together at {self._spec.scheduler} within {self._limits.join:g} s; "
            f"start the same command on each, with --rank 0 to {self.size - 1}."
        )
        self._store = self._waited(lambda: mx.kv.create("dist_sync"), self._limits.join, RunError(absent))
        expected = np.zeros(MOST_MACHINES, np.float32)
        expected[self.index] = self.size
        expected = self.all_sum("machines", nd.array(expected)).asnumpy()
        if not (expected[: self.size] == self.size).all() or expected[self.size :].any():
            raise _MachinesDifferError(
                "the machines differ in --machines, or two have the same --rank; "
                f"start the same command on each, with --rank 0 to {self.size - 1}."
            )

    def all_sum(self, name: str, array: Any) -> Any:
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name}: expected float32 or float64, found {np.dtype(array.dtype)}")
        late = f"another machine has not come to {name!r} for {self._limits.stall:g} s; start all again with --resume."
        total = self._waited(lambda: self._exchanged(name, array), self._limits.stall, RunError(late))
        return total.as_in_context(array.context)

    def _exchanged(self, name: str, array: Any) -> Any:
        from gluon_lifted.mx import mx, nd

        key = f"{name} {np.dtype(array.dtype)} {array.shape}"
        total = array.copyto(mx.cpu())  # a copy, for the store receives into the array that it has sent
        if key not in self._keys:
            self._store.init(key, nd.zeros_like(total))
            self._keys.add(key)
        self._store.push(key, total)
        self._store.pull(key, out=total)
        total.wait_to_read()
        return total

    def _waited(self, function: Callable[[], Any], limit: float, late: LiftedError) -> Any:
        """Result of a function that may block in MXNet for ever, where neither Ctrl-C nor an exception reaches it."""
        outcome: Future[Any] = Future()

        def work() -> None:
            try:
                outcome.set_result(function())
            except Exception as error:
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
        if self._store is not None and _silent_nodes(self._store, SCHEDULER_NODE, self._limits.silence):
            raise RunError(
                f"scheduler {self._spec.scheduler} gave no sign of life for {self._limits.silence} s: it or another "
                "machine has ended or cannot be reached; start all machines again with --resume."
            )

    def close(self) -> None:
        """Leave together with the others; the scheduler and the server then end by themselves."""
        self.barrier()
        store, self._store, self._processes = self._store, None, []  # no signs of life while all is taken apart
        late = RunError(f"the cluster did not close within {self._limits.reach:g} s, after the training had ended.")
        self._waited(lambda: _free(store), self._limits.reach, late)

    def leave(self, error: BaseException) -> None:
        """Leave at once: a regular end would wait for the other machines, perhaps for ever."""
        if isinstance(error, _MachinesDifferError):  # unless they leave too
            with suppress(LiftedError):
                self.close()
                return
        if self._store is not None:
            _forget(self._store)
        status = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        atexit.register(_exit_at_once, status)  # runs before the clean-up of MXNet, which would wait too


def _free(store: Any) -> None:
    from gluon_lifted.mx import mx

    mx.base.check_call(mx.base._LIB.MXKVStoreFree(store.handle))
    _forget(store)


def _forget(store: Any) -> None:
    """Take its handle away, so that Python does not free it."""
    store.handle = type(store.handle)()


def _silent_nodes(store: Any, group: int, seconds: int) -> int:
    """How many nodes of a group of ps-lite's have given no sign of life for so long."""
    from gluon_lifted.mx import mx

    count = ctypes.c_int()
    mx.base.check_call(mx.base._LIB.MXKVStoreGetNumDeadNode(store.handle, group, ctypes.byref(count), seconds))
    return count.value


def _exit_at_once(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _check_free(spec: ClusterSpec, address: str) -> None:
    """Raise `ConfigError` if the scheduler could not listen; it would end without a word that helps."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ps-lite does
        try:
            probe.bind((address, spec.port))
        except OSError as error:
            raise ConfigError(
                f"scheduler {spec.scheduler}: machine 0 cannot listen there ({error.strerror}); "
                "give an address of machine 0 and a free port above 1023."
            ) from None


def _address_towards(spec: ClusterSpec, address: str, limit: float) -> str:
    """This machine's own address on the way to the scheduler, as soon as the scheduler listens."""
    deadline = time.monotonic() + limit
    while (found := _own_address((address, spec.port))) is None:
        if time.monotonic() > deadline:
            raise RunError(
                f"scheduler {spec.scheduler} cannot be reached within {limit:g} s; "
                "start machine 0 (--rank 0), and check the address and the firewall."
            )
        time.sleep(min(0.2, limit))
    return found


def _own_address(peer: tuple[str, int]) -> str | None:
    """The address from which ``peer`` is reached; None if nothing listens there."""
    try:
        with socket.create_connection(peer, CONNECT_SECONDS) as connection:
            return str(connection.getsockname()[0])
    except OSError:
        return None


class _Process:
    """The scheduler or the server: a Python of its own, which ends when this one does."""

    def __init__(self, role: str, variables: Mapping[str, str], silence: int) -> None:
        self._role, self._silence = role, silence
        environment = {name: value for name, value in os.environ.items() if name != "DMLC_ROLE"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gluon_lifted.cluster", role, str(silence)],
            cwd=Path(__file__).parents[1],  # where gluon_lifted is found
            env={**environment, **variables},
            stdin=subprocess.PIPE,  # closes with this process, however it ends
            stdout=subprocess.DEVNULL,  # stdout is for results
            start_new_session=True,  # Ctrl-C is for the training, which needs the server to end in order
        )

    def check(self) -> None:
        """Raise `RunError` if it has ended."""
        status = self._process.poll()
        if status == MACHINE_SILENT:
            raise RunError(
                f"a machine gave no sign of life for {self._silence} s: it has ended or cannot be reached; "
                "start all machines again with --resume."
            )
        if status is not None:
            raise RunError(f"the {self._role} has ended (status {status}); start all machines again with --resume.")

    def wait(self, limit: float) -> None:
        with suppress(subprocess.TimeoutExpired):  # `end` follows
            self._process.wait(limit)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()  # closes the pipe


@contextmanager
def _processes(roles: Sequence[str], variables: Mapping[str, str], limits: Limits) -> Iterator[list[_Process]]:
    started: list[_Process] = []
    try:
        for role in roles:
            started.append(_Process(role, variables, limits.silence))  # noqa: PERF401 - those started are ended
        yield started
        for process in started:
            process.wait(limits.reach)
    finally:
        for process in started:
            process.end()


def _serve(role: str, silence: int) -> None:
    """Be the scheduler or the server, until all machines have left."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from gluon_lifted.mx import mx

    class Server(mx.kvstore.KVStoreServer):
        def _controller(self) -> Callable[..., None]:
            return lambda *_: None  # MXNet's own unpickles, and so executes, what any machine sends

    # Only now: with this in the environment, the import of MXNet itself runs MXNet's own server
    os.environ["DMLC_ROLE"] = role
    store = mx.kv.create("dist_sync")
    if role == SCHEDULER:
        threading.Thread(target=_end_with_any_machine, args=(store, silence), daemon=True).start()
    Server(store).run()


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing comes but the end
    os._exit(1)


def _end_with_any_machine(store: Any, silence: int) -> None:
    from gluon_lifted.mx import mx

    with suppress(mx.base.MXNetError):  # all machines have left meanwhile
        while True:
            time.sleep(silence)
            if _silent_nodes(store, WORKER_NODES, silence):
                os._exit(MACHINE_SILENT)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
