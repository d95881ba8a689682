"""What computes the parts of a run: this process, or the workers of a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.hardware.memory import peak_memory
from serve_cli.embed.embed_rows import Tally, reported
from serve_cli.embed.part_worker import PartWorker, Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_cli.embed.run import EmbedRun
    from serve_cli.progress import Progress


def compute_here(run: EmbedRun, missing: list[int], progress: Progress) -> Work:
    """Compute parts one after the other in this process."""
    worker = PartWorker(run)
    tally = Tally(run.rows_of(run.mine) - run.rows_of(missing))
    for number in missing:
        worker.write(number, lambda batches: reported(batches, progress, worker.times, tally))
    return Work(worker.times, worker.failures, 1, run.options.model_options.num_threads, peak_memory())


def _compute_on_ray(run: EmbedRun, missing: list[int], progress: Progress) -> Work:
    from serve_cli.embed.ray_engine import compute_on_ray

    return compute_on_ray(run, missing, progress)


ENGINES: dict[str, Callable[[EmbedRun, list[int], Progress], Work]] = {"local": compute_here, "ray": _compute_on_ray}
