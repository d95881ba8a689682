"""The options of `lifted serve`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError
from serve_cli.http.limits import RequestLimits
from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    from pathlib import Path

HIGHEST_PORT = 65_535


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What is served, where, to whom, and within which limits.

    Parameters
    ----------
    source : Path
        A model, or a folder of `lifted index`.
    model : Path, optional
        The model of an index, if it is no longer where the index says.
    name : str, optional
        Name of the model in replies. Default: the name in its card.
    host, port : str, int
        Address to listen on. Port 0 is any free one.
    token_file : Path, optional
        Accepted bearer tokens, one per line. Without it, everyone who reaches the port has access.
    workers : int
        Processes that share the port.
    allow_urls : tuple of str
        Hosts whose images requests may name by URL; none by default.
    max_memory : int, optional
        Limit of each process in bytes. Default: half the usable memory, shared by all processes.
    max_waiting : int
        Images that may wait for the network. Further requests are refused at once.
    access_log : bool
        Write a line of JSON for each request to stderr.
    limits : RequestLimits
        What a request may ask for.
    model_options : ModelOptions
        How the model runs.

    Raises
    ------
    ConfigError
        If a value is out of range, or a request of the largest size would never be accepted.
    """

    source: Path
    model: Path | None = None
    name: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    token_file: Path | None = None
    workers: int = 1
    allow_urls: tuple[str, ...] = ()
    max_memory: int | None = None
    max_waiting: int = 128
    access_log: bool = True
    limits: RequestLimits = RequestLimits()
    model_options: ModelOptions = ModelOptions()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= HIGHEST_PORT:
            raise ConfigError(f"port {self.port} does not exist; give 0 to {HIGHEST_PORT}.")
        if self.workers < 1:
            raise ConfigError(f"the number of workers is {self.workers}; give 1 or more.")
        if self.max_waiting < self.limits.images:
            raise ConfigError(
                f"a request may have {self.limits.images} images, but only {self.max_waiting} may wait, so it would "
                "never be accepted; raise --max-waiting or lower --max-images."
            )
