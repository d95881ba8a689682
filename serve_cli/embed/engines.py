"""The engines that compute the parts of a run, each declared once.

An engine's module is imported when it starts, so that help texts load fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gluon_lifted.progress import Progress
    from serve_cli.embed.embed_run import EmbedRun
    from serve_cli.embed.part_worker import Work

DEFAULT_ENGINE = "local"


@dataclass(frozen=True)
class Engine:
    """A way to compute parts.

    Parameters
    ----------
    name, help : str
        The value of ``--engine``, and a few words for its help text.
    compute : callable
        Takes the run, the numbers of the parts to compute, and the progress to report to.
    """

    name: str
    help: str
    compute: Callable[[EmbedRun, list[int], Progress], Work]


def _compute_here(run: EmbedRun, missing: list[int], progress: Progress) -> Work:
    from serve_cli.embed.part_worker import compute_parts

    return compute_parts(run, missing, progress)


def _compute_on_ray(run: EmbedRun, missing: list[int], progress: Progress) -> Work:
    from serve_cli.embed.ray_engine import compute_on_ray

    return compute_on_ray(run, missing, progress)


_ALL = (
    Engine("local", "this process", _compute_here),
    Engine("ray", "the workers of a Ray cluster, which share the parts", _compute_on_ray),
)
ENGINES: dict[str, Engine] = {engine.name: engine for engine in _ALL}
