"""The iterations of a run: train, log, measure recall, save. At the end draw the curves and freeze the network."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib import metadata
from typing import TYPE_CHECKING

from gluon_lifted.card import ModelCard
from gluon_lifted.config.schedules import learning_rate
from gluon_lifted.errors import RunError
from gluon_lifted.logs.curves import draw_curves
from gluon_lifted.logs.run_log import TrainProgress, last_values, run_log, sync_log
from gluon_lifted.losses.known_losses import LOSSES
from gluon_lifted.metrics.retrieval import can_rank, recall_at_k
from gluon_lifted.mx import mx
from gluon_lifted.training.checkpoint import save_checkpoint
from gluon_lifted.training.freeze import freeze
from gluon_lifted.training.interrupt import interruptible

if TYPE_CHECKING:
    from pathlib import Path

    from gluon_lifted.batches.loader import ImageLoader
    from gluon_lifted.batches.samplers import Sampler
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.training.evaluation import Evaluation, RunRecall
    from gluon_lifted.training.run import Hooks
    from gluon_lifted.training.trainer import Trainer

REFERENCE_IMAGES = 8
TEST_BATCH = 32


@dataclass(frozen=True)
class TrainReport:
    """Result of a run.

    Parameters
    ----------
    run : Path
        The run folder.
    iteration, iterations : int
        Iterations done and configured. They differ after an interruption.
    loss, recall : float or None
        Last loss, and last recall@1 on the ``watched`` images; None if never measured.
    watched : str
        Description of the images that recall was measured on.
    dead, not_finite : int
        Skipped batches: gradient of zero, or with NaN or infinity.
    waiting : float
        Share of the training time in which the network waited for images.
    seconds : float
        Duration of this run, without earlier parts of a resumed one.
    signal : int, optional
        Number of the signal that interrupted the run.
    measured : RunRecall, optional
        Recall before and after training, beside baselines. None for an interrupted run, and on all hosts but the
        first.
    """

    run: Path
    iteration: int
    iterations: int
    loss: float | None
    recall: float | None
    watched: str
    dead: int
    not_finite: int
    waiting: float
    seconds: float
    signal: int | None = None
    measured: RunRecall | None = None

    @property
    def finished(self) -> bool:
        """Whether all iterations were done."""
        return self.iteration == self.iterations


@dataclass
class _Times:
    """Images trained on, seconds of training including waiting, and seconds of waiting for images."""

    images: int = 0
    training: float = 0.0
    waiting: float = 0.0

    @property
    def images_per_second(self) -> float:
        """Images trained on per second, including waiting."""
        return self.images / self.training if self.training else 0.0

    @property
    def waiting_share(self) -> float:
        """Share of the training time spent on waiting for images."""
        return self.waiting / self.training if self.training else 0.0


class Loop:
    """The loop over iterations, with its log."""

    def __init__(
        self,
        *,
        config: TrainConfig,
        folder: Path,
        trainer: Trainer,
        sampler: Sampler,
        loader: ImageLoader,
        watcher: ImageLoader,
        watched_as: str,
        evaluation: Evaluation,
    ) -> None:
        self.config, self.folder, self.trainer, self.sampler = config, folder, trainer, sampler
        self.loader, self.watcher = loader, watcher
        self.watched_as, self.evaluation = watched_as, evaluation
        self.writes = trainer.cluster.is_writer
        self.loss: float | None = None
        self.recall: float | None = None

    def run(self, start: int, hooks: Hooks) -> TrainReport:
        """Train from iteration ``start`` to the last, or until Ctrl-C or SIGTERM."""
        began, iteration, times = time.monotonic(), start, _Times()
        self.loss, self.recall = last_values(self.folder, start)
        cluster = self.trainer.cluster
        batches = self.loader.training_batches(self.sampler, start, self.config.iterations, cluster.index, cluster.size)
        with interruptible() as interrupted, ExitStack() as stack:
            log = None
            if self.writes:
                log = stack.enter_context(run_log(self.folder, start, tensorboard=self.config.tensorboard))
            tick = time.monotonic()
            for batch in self.trainer.copied_ahead(batches):
                times.waiting += time.monotonic() - tick
                self.loss = self.trainer.step(batch, iteration)
                rate = learning_rate(self.config, iteration)
                iteration += 1
                times.training += time.monotonic() - tick
                times.images += len(batch.labels)
                stop = cluster.any("stop", flag=interrupted.is_set())
                recall = None if stop else self._measured(iteration)
                progress = TrainProgress(
                    iteration=iteration,
                    iterations=self.config.iterations,
                    loss=self.loss,
                    learning_rate=rate,
                    images_per_second=times.images_per_second,
                    waiting=times.waiting_share,
                    recall=recall,
                )
                if log is not None:
                    log(progress)
                    self._save(iteration, interrupted=stop)
                hooks.on_progress(progress)
                if stop:
                    break
                tick = time.monotonic()
        measured = self._finish(complete=iteration == self.config.iterations) if self.writes else None
        report = self._report(iteration, times, time.monotonic() - began)
        return replace(report, signal=interrupted.signal, measured=measured)

    def _report(self, iteration: int, times: _Times, seconds: float) -> TrainReport:
        return TrainReport(
            run=self.folder,
            iteration=iteration,
            iterations=self.config.iterations,
            loss=self.loss,
            recall=self.recall,
            watched=self.watched_as,
            dead=self.trainer.skipped.dead,
            not_finite=self.trainer.skipped.not_finite,
            waiting=times.waiting_share,
            seconds=seconds,
        )

    def _measured(self, iteration: int) -> float | None:
        """Measure recall if it is due. Return None if it is not, or the embeddings cannot be ranked."""
        if not self.writes or not self._due(iteration, self.config.eval_every):
            return None
        embedding = self.trainer.embed(self.watcher.test_batches(TEST_BATCH))
        distance = LOSSES[self.config.loss].distance
        if not can_rank(embedding, distance):  # the trainer reports divergence later
            return None
        self.recall = recall_at_k(embedding, self.watcher.table.labels, (1,), distance)[1]
        return self.recall

    def _save(self, iteration: int, *, interrupted: bool) -> None:
        """Save a checkpoint if it is due. The log line of its iteration is on disk before."""
        if self._due(iteration, self.config.checkpoint_every) or interrupted:
            sync_log(self.folder)
            save_checkpoint(self.folder, iteration, self.trainer.state())

    def _due(self, iteration: int, every: int) -> bool:
        return iteration == self.config.iterations or (every > 0 and iteration % every == 0)

    def _finish(self, *, complete: bool) -> RunRecall | None:
        """Draw the curves. Freeze the network of a complete run and measure its recall."""
        try:
            draw_curves(self.folder)
            if complete:
                images = next(iter(self.watcher.test_batches(REFERENCE_IMAGES))).images
                freeze(self.trainer.net, self.folder, self._card(), images, self.trainer.dtype)
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be written ({error.strerror or error}); "
                "make room and run the same command with --resume."
            ) from None
        return self.evaluation.measure_end() if complete else None

    def _card(self) -> ModelCard:
        config = self.config
        return ModelCard(
            name=self.folder.resolve().name,
            backbone=config.backbone,
            dim=config.dim,
            normalized=config.normalize,
            preprocessing=self.loader.preprocessing,
            dataset=config.dataset,
            loss=f"{type(self.trainer.loss).__name__}(margin={config.margin:g})",
            distance=LOSSES[config.loss].distance,
            provenance={
                "iterations": str(config.iterations),
                "sampler": config.sampler,
                "weights": config.weights or "random",
                "seed": str(config.seed),
                "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                **{name: metadata.version(name) for name in ("gluon-lifted", "numpy", "pillow")},
                "mxnet": str(mx.__version__),
            },
        )
