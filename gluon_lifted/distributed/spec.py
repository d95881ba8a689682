"""Which hosts train together, and how long they wait for each other."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from gluon_lifted.errors import ConfigError

MAX_HOSTS = 1024  # one server adds for all; long before that it is the bottleneck


@dataclass(frozen=True)
class ClusterSpec:
    """Which hosts train together.

    Parameters
    ----------
    hosts : int
        Number of hosts, 1 to 1024.
    rank : int
        Rank of this host, 0 to ``hosts - 1``, each once. Host 0 writes the run and runs the scheduler.
    scheduler : str
        ``"HOST:PORT"`` of host 0, as all hosts reach it: a name or an IPv4 address, and a free port.

    Raises
    ------
    ConfigError
    """

    hosts: int
    rank: int
    scheduler: str

    def __post_init__(self) -> None:
        if not 1 <= self.hosts <= MAX_HOSTS:
            raise ConfigError(f"num_hosts is {self.hosts}; expected 1 to {MAX_HOSTS}.")
        if not 0 <= self.rank < self.hosts:
            raise ConfigError(f"rank is {self.rank}; expected 0 to {self.hosts - 1}, another on each host.")
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
        For the other hosts to start the same command.
    silence : int
        Without a sign of life from a host. Signs come each second, whatever it computes.
    stall : float
        For the other hosts to come to the same sum: one may measure recall meanwhile.
    """

    reach: float = 60.0
    join: float = 600.0
    silence: int = 30
    stall: float = 3600.0
