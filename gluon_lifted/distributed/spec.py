"""Settings of a cluster: its hosts, and how long they wait for each other."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from gluon_lifted.errors import ConfigError

MAX_HOSTS = 1024  # the single server is the bottleneck long before


@dataclass(frozen=True)
class ClusterSpec:
    """The hosts that train together.

    Parameters
    ----------
    hosts : int
        Number of hosts, 1 to 1024.
    rank : int
        Rank of this host, 0 to ``hosts - 1``, unique. Host 0 writes the run folder and runs the scheduler.
    scheduler : str
        ``"HOST:PORT"`` at which all hosts reach host 0: a name or an IPv4 address, and a free port.

    Raises
    ------
    ConfigError
        If a value is out of range, or ``scheduler`` is not of this form.
    """

    hosts: int
    rank: int
    scheduler: str

    def __post_init__(self) -> None:
        if not 1 <= self.hosts <= MAX_HOSTS:
            raise ConfigError(f"num-hosts is {self.hosts}; expected 1 to {MAX_HOSTS}.")
        if not 0 <= self.rank < self.hosts:
            raise ConfigError(f"rank is {self.rank}; expected 0 to {self.hosts - 1}, different on each host.")
        host, _, port = self.scheduler.rpartition(":")
        if not host or ":" in host or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16):
            raise ConfigError(f"scheduler is {self.scheduler!r}; expected HOST:PORT, such as 10.0.0.1:9091.")

    @property
    def port(self) -> int:
        """Port of the scheduler."""
        return int(self.scheduler.rpartition(":")[2])

    def resolve(self) -> str:
        """Resolve the IPv4 address of the scheduler. Raises `ConfigError` if its name is unknown."""
        try:
            return socket.gethostbyname(self.scheduler.rpartition(":")[0])
        except (OSError, UnicodeError) as error:
            raise ConfigError(
                f"scheduler {self.scheduler}: the host name cannot be resolved ({error}). Give its IP address."
            ) from None


@dataclass(frozen=True)
class Limits:
    """Seconds to wait before an error.

    Parameters
    ----------
    reach : float
        Time for the scheduler to answer, and for the cluster to close.
    join : float
        Time for the other hosts to start the same command.
    silence : int
        Time without a sign of life from a host. Signs come every second, also during computation.
    stall : float
        Time for the other hosts to reach the same sum: host 0 can be measuring recall.
    """

    reach: float = 60.0
    join: float = 600.0
    silence: int = 30
    stall: float = 3600.0
