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
from gluon_lifted.metrics.recall_comparison import EMBEDDING
from gluon_lifted.metrics.retrieval import can_rank, recall_at_k
from gluon_lifted.mx import mx
from gluon_lifted.training.best_recall import iterations_between_measurements
from gluon_lifted.training.checkpoint import restore_checkpoint, save_checkpoint
from gluon_lifted.training.freeze import freeze
from gluon_lifted.training.inference import BATCH
from gluon_lifted.training.interrupt import interruptible
from gluon_lifted.training.run_folder import weights_origin
from gluon_lifted.training.training_progress import training_progress

if TYPE_CHECKING:
    from pathlib import Path

    from gluon_lifted.batches.loader import ImageLoader
    from gluon_lifted.batches.samplers import Sampler
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.training.evaluation import Evaluation, RunRecall
    from gluon_lifted.training.run import Hooks
    from gluon_lifted.training.trainer import Trainer

REFERENCE_IMAGES = 8


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
    stopped_early : bool
        Whether ``patience`` ended the run.
    kept : int, optional
        Iteration whose weights were frozen, 0 for those of the start. None for an interrupted run, and on all hosts
        but the first.
    kept_recall : float, optional
        Recall@1 of these weights on the ``watched`` images; None if it was not measured.
    measured : RunRecall, optional
        Recall before and after training, with baselines. None for an interrupted run, and on all hosts but the
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
    stopped_early: bool = False
    kept: int | None = None
    kept_recall: float | None = None
    measured: RunRecall | None = None

    @property
    def finished(self) -> bool:
        """Whether all iterations were done, or as many as ``patience`` allowed."""
        return self.iteration == self.iterations or self.stopped_early


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
        evaluation: Evaluation,
    ) -> None:
        self.config, self.folder, self.trainer, self.sampler = config, folder, trainer, sampler
        self.loader, self.evaluation, self.watcher = loader, evaluation, evaluation.watcher
        self.writes = trainer.cluster.is_writer
        self.loss: float | None = None
        self.recall: float | None = None
        self._every = iterations_between_measurements(config, len(self.watcher.table))
        self._saved_best = -1  # the best iteration of the newest checkpoint

    def run(self, start: int, hooks: Hooks) -> TrainReport:
        """Train from iteration ``start`` to the last, or until Ctrl-C or SIGTERM."""
        if self.writes:
            self._count_start(start)
        ended = self._out_of_patience()
        began, iteration, times = time.monotonic(), start, _Times()
        self.loss, self.recall = last_values(self.folder, start)
        cluster = self.trainer.cluster
        batches = self.loader.training_batches(self.sampler, start, self.config.iterations, cluster.index, cluster.size)
        with interruptible() as interrupted, ExitStack() as stack:
            log = None
            if self.writes:
                log = stack.enter_context(run_log(self.folder, start, tensorboard=self.config.tensorboard))
            classes = len(self.watcher.table.class_names)
            show = stack.enter_context(training_progress(self.config.iterations, start, classes))
            tick = time.monotonic()
            for batch in () if ended else self.trainer.copied_ahead(batches):
                times.waiting += time.monotonic() - tick
                self.loss = self.trainer.step(batch, iteration)
                iteration += 1
                times.training += time.monotonic() - tick
                times.images += len(batch.labels)
                recall = self._measured(iteration, stopping=interrupted.is_set())
                stop = cluster.any("stop", flag=interrupted.is_set() or self._out_of_patience())
                ended = stop and cluster.any("patience", flag=self._out_of_patience())
                progress = self._progress(iteration, times, recall)
                if log is not None:
                    log(progress)
                    self._save(iteration, stop=stop)
                show(progress)
                hooks.on_progress(progress)
                if stop:
                    break
                tick = time.monotonic()
        report = self._report(iteration, times)
        early = ended and iteration < self.config.iterations
        report = replace(report, signal=interrupted.signal, stopped_early=early)
        if self.writes:
            report = self._finish(report, hooks)
        return replace(report, seconds=time.monotonic() - began)

    def _count_start(self, start: int) -> None:
        """Count what was measured before training as the first measurement."""
        before = self.evaluation.start
        embedding = before.get(EMBEDDING) if before and start == 0 else None
        if embedding is not None and embedding.distance == LOSSES[self.config.loss].distance:
            self.trainer.best.count(0, embedding.recall[1].value)
        self._saved_best = self.trainer.best.iteration

    def _out_of_patience(self) -> bool:
        """Whether recall has not improved for ``patience`` measurements. Only the host that measures knows."""
        return 0 < self.config.patience <= self.trainer.best.measured_since

    def _progress(self, iteration: int, times: _Times, recall: float | None) -> TrainProgress:
        assert self.loss is not None
        return TrainProgress(
            iteration=iteration,
            iterations=self.config.iterations,
            loss=self.loss,
            learning_rate=learning_rate(self.config, iteration - 1),
            images_per_second=times.images_per_second,
            waiting=times.waiting_share,
            recall=recall,
        )

    def _report(self, iteration: int, times: _Times) -> TrainReport:
        return TrainReport(
            run=self.folder,
            iteration=iteration,
            iterations=self.config.iterations,
            loss=self.loss,
            recall=self.recall,
            watched=self.evaluation.watched_as,
            dead=self.trainer.skipped.dead,
            not_finite=self.trainer.skipped.not_finite,
            waiting=times.waiting_share,
            seconds=0.0,
        )

    def _measured(self, iteration: int, *, stopping: bool) -> float | None:
        """Measure recall if it is due. Return None if it is not, or the embeddings cannot be ranked.

        An interrupted run stops without measuring, except after its last iteration, when it is complete.
        """
        if not self.writes or not self._due(iteration, 0 if stopping else self._every):
            return None
        embedding = self.trainer.embed(self.watcher.test_batches(BATCH))
        distance = LOSSES[self.config.loss].distance
        if not can_rank(embedding, distance):  # the trainer reports divergence later
            return None
        self.recall = recall_at_k(embedding, self.watcher.table.labels, (1,), distance)[1]
        self.trainer.best.count(iteration, self.recall)
        return self.recall

    def _save(self, iteration: int, *, stop: bool) -> None:
        """Save a checkpoint if it is due, or has the best recall. The log is flushed to disk first.

        The best checkpoint stays, and so does the one that was best at the previous checkpoint: if the newest is
        damaged, training resumes from the previous one.
        """
        best = self.trainer.best.iteration if self.config.keep == "best" else -1
        if self._due(iteration, self.config.checkpoint_every) or stop or best == iteration:
            sync_log(self.folder)
            save_checkpoint(self.folder, iteration, self.trainer.state(), (best, self._saved_best))
            self._saved_best = best

    def _due(self, iteration: int, every: int) -> bool:
        return iteration == self.config.iterations or (every > 0 and iteration % every == 0)

    def _keep(self, report: TrainReport, hooks: Hooks) -> TrainReport:
        """Restore the weights to freeze, and report which they are."""
        best, kept = self.trainer.best, report.iteration
        if self.config.keep == "best" and best.known and best.iteration != kept:
            problem = restore_checkpoint(self.folder, best.iteration, self.trainer.restore_weights)
            if problem is None:
                kept = best.iteration
            else:
                hooks.on_note(
                    f"the best weights, of iteration {best.iteration:,}, are damaged ({problem}), so the last ones are "
                    "kept."
                )
        self.trainer.finish()
        recall = best.recall if kept == best.iteration else self.recall
        return replace(report, kept=kept, kept_recall=recall)

    def _finish(self, report: TrainReport, hooks: Hooks) -> TrainReport:
        """Draw the curves. Freeze the network of a complete run and measure its recall."""
        if report.finished:
            report = self._keep(report, hooks)
        try:
            draw_curves(self.folder, report.kept)
            if report.kept is not None:
                images = next(iter(self.watcher.test_batches(REFERENCE_IMAGES))).images
                freeze(
                    self.trainer.net, self.folder, self._card(report.iteration, report.kept), images, self.trainer.dtype
                )
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be written ({error.strerror or error}). "
                "Make room, and run the same command with --resume."
            ) from None
        return replace(report, measured=self.evaluation.measure_end()) if report.finished else report

    def _card(self, iteration: int, kept: int) -> ModelCard:
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
                "iterations": str(iteration),
                "weights of iteration": str(kept),
                "sampler": config.sampler,
                "weights": weights_origin(self.folder),
                "seed": str(config.seed),
                "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                **{name: metadata.version(name) for name in ("gluon-lifted", "numpy", "pillow")},
                "mxnet": str(mx.__version__),
            },
        )
