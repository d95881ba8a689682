"""Show the progress of training through `gluon_lifted.progress`, like all other work."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gluon_lifted.progress import open_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gluon_lifted.logs.run_log import TrainProgress


@contextmanager
def training_progress(iterations: int, start: int, classes: int) -> Iterator[Callable[[TrainProgress], None]]:
    """Open the progress of training. The function shows a batch, and the newest recall@1.

    Parameters
    ----------
    iterations, start : int
        Iterations in total, and done by an earlier run that this one resumes.
    classes : int
        Number of classes that recall is measured on.
    """
    recall = measured = ""
    with open_progress("train", iterations, "batches", start) as shown:

        def show(progress: TrainProgress) -> None:
            nonlocal recall, measured
            if progress.recall is not None:
                recall = f", recall@1 {progress.recall:.3f}"
                measured = f", recall of batch {progress.iteration:,} on {classes:,} classes"
            text = f"loss {progress.loss:.3f}{recall}, {progress.images_per_second:.1f} images/s{measured}"
            shown.update(progress.iteration, text)

        yield show
