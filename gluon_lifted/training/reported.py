"""Report the progress of a run to `gluon_lifted.progress`, like all other work."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from gluon_lifted.progress import open_progress

if TYPE_CHECKING:
    from gluon_lifted.logs.run_log import TrainProgress
    from gluon_lifted.progress import Progress


class ProgressReport(ExitStack):
    """Opens the progress of training at its first batch, and of each measurement at its first images."""

    def __init__(self) -> None:
        super().__init__()
        self._label = self._recall = ""
        self._progress: Progress | None = None

    def training(self, progress: TrainProgress) -> None:
        """Report a batch, and the newest recall@1."""
        if progress.recall is not None:
            self._recall = f", recall@1 {progress.recall:.3f} at {progress.iteration:,}"
        shown = self._open("train", progress.iterations, "batches", progress.iteration - 1)
        shown.update(progress.iteration, f"loss {progress.loss:.3f}{self._recall}")

    def measuring(self, what: str, done: int, total: int) -> None:
        """Report images of a measurement."""
        self._open(f"measure {what}", total, "images", 0).update(done)

    def _open(self, label: str, total: int, unit: str, start: int) -> Progress:
        if self._progress is None or label != self._label:
            self.close()
            self._label = label
            self._progress = self.enter_context(open_progress(label, total, unit, start))
        return self._progress
