"""How the commands run a model: the options that they share, as an Embedder takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gluon_lifted.hardware.cpus import usable_cpus
from serve_cli.model.embedder import Embedder

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Serving:
    """How a model is run; see `Embedder` for what None and the others mean.

    Parameters
    ----------
    batch_size : int, optional
        Images that go through the network together; by default the Embedder's.
    threads : int, optional
        Threads that decode, and threads of the network.
    sessions : int, optional
    device : str
    allow_fallback, relaxed, cache : bool
    """

    batch_size: int | None = None
    threads: int | None = None
    sessions: int | None = None
    device: str = "cpu"
    allow_fallback: bool = False
    relaxed: bool = False
    cache: bool = True

    @property
    def decoders(self) -> int:
        """Threads that decode."""
        return self.threads or usable_cpus()

    def open(self, model: Path) -> Embedder:
        """Raises as `Embedder` does."""
        return Embedder(
            model,
            self.device,
            self.threads,
            sessions=self.sessions,
            allow_fallback=self.allow_fallback,
            relaxed=self.relaxed,
            cache=self.cache,
        )
