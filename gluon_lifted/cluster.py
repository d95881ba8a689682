"""Several machines that train together, through MXNet's own parameter server (``dist_sync``).

All machines hold the same weights and take the same steps. All they exchange are sums: `Cluster.all_sum` adds up
the arrays that the machines pass, and gives every machine the same result, bit for bit. Machine 0 also runs two
small processes, MXNet's scheduler, which introduces the machines to each other, and its server, which adds.

Machine 0 listens on the port of the scheduler; the server and every machine listen on a free port each. Nothing is
encrypted, and whoever reaches these ports can disturb the training: they belong on a private network.
"""

from __future__ import annotations

import hashlib
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

MOST_MACHINES = 1024  # one server adds for all; long before that it is the bottleneck
BROADCAST_CHUNK = 1 << 20  # float64 numbers, 8 MiB: the server keeps a buffer of it for good


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
            raise MachinesDifferError(
                f"machine {differs[0]} has another {what} than machine 0; "
                "run the same command, with the same data and the same versions, on every machine."
            )


class MachinesDifferError(ConfigError):
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
    from gluon_lifted.parameter_server import served_cluster

    with served_cluster(spec, limits) as cluster:
        yield cluster
