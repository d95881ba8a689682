"""A training run from data set to frozen model: what `lifted train` calls."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.card import ModelCard
from gluon_lifted.config import CONFIG_FILE, TrainConfig
from gluon_lifted.cpus import usable_cpus
from gluon_lifted.datasets import ImageTable, load_dataset
from gluon_lifted.datasets.base import require_trainable
from gluon_lifted.devices import mxnet_contexts
from gluon_lifted.errors import ConfigError, RunError
from gluon_lifted.files import replaced_file
from gluon_lifted.images import Preprocessing
from gluon_lifted.interrupt import interruptible
from gluon_lifted.loader import ImageLoader
from gluon_lifted.metrics import recall_at_k
from gluon_lifted.run_log import METRICS_FILE, TrainProgress, metrics_log
from gluon_lifted.samplers import BalancedSampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from gluon_lifted.trainer import Trainer

REFERENCE_IMAGES = 8
TEST_BATCH = 32
MAY_CHANGE = ("data", "iterations", "eval_every", "checkpoint_every")  # when a run is resumed


@dataclass(frozen=True)
class TrainReport:
    """What a run did. ``iteration`` is below ``iterations`` if it was interrupted."""

    run: Path
    iteration: int
    iterations: int
    loss: float | None
    recall: float | None
    skipped: int
    seconds: float

    @property
    def finished(self) -> bool:
        return self.iteration == self.iterations


@dataclass(frozen=True)
class Machine:
    """Where a run is computed: decides its speed, never its batches.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"gpu"`` or several: ``"gpu:0,gpu:1"``.
    threads : int
        Images decoded at a time.
    """

    device: str = "cpu"
    threads: int = field(default_factory=usable_cpus)


def train(
    config: TrainConfig,
    run: Path,
    machine: Machine = Machine(),
    resume: bool = False,
    on_progress: Callable[[TrainProgress], None] = lambda _: None,
) -> TrainReport:
    """Train a network and freeze it into ``run``.

    The folder then holds ``config.json``, ``metrics.jsonl`` (a line an iteration), ``checkpoints/`` and the four
    files that ``lifted export`` reads. Ctrl-C ends the run after the current iteration, with a checkpoint.

    Raises
    ------
    DataError, ConfigError, DeviceError, RunError
        Before anything is written if the data, an option, the device or the run folder cannot work.
    """
    devices = mxnet_contexts(machine.device)
    learned, watched = _tables(config)
    _check_batch(config, len(devices), learned)
    preprocessing = Preprocessing(resize=config.resize, crop=config.crop)
    with (
        ImageLoader(learned, preprocessing, machine.threads) as loader,
        ImageLoader(watched, preprocessing, machine.threads) as watcher,
    ):
        loader.check_readable()
        watcher.check_readable()
        from gluon_lifted.trainer import Trainer

        trainer = Trainer(config, devices)
        start = _open_run(config, run, trainer, resume)
        return _Loop(config, run, trainer, loader, watcher).go(start, on_progress)


def _tables(config: TrainConfig) -> tuple[ImageTable, ImageTable]:
    """Images to learn from, and images of classes kept out to watch recall on (the test classes if none are)."""
    root = Path(config.data)
    splits = load_dataset(config.dataset, root)
    num_classes = len(splits.train.class_names)
    kept_out = round(num_classes * config.validation_classes)
    learned, watched = splits.train.split_classes(num_classes - kept_out)
    require_trainable(learned, root)
    return learned, watched if len(watched) > 1 else splits.test


def _check_batch(config: TrainConfig, num_devices: int, table: ImageTable) -> None:
    batch = min(config.classes_per_batch, len(table.class_names)) * config.images_per_class
    if batch < num_devices:
        raise ConfigError(f"a batch of {batch} images cannot be shared by {num_devices} devices; name fewer.")


def _open_run(config: TrainConfig, run: Path, trainer: Trainer, resume: bool) -> int:
    """Make the run folder, or go on in it; return the iteration to start from."""
    from gluon_lifted.checkpoint import load_newest_checkpoint

    if resume:
        _refuse_another_run(config, TrainConfig.read(run), run)
        return load_newest_checkpoint(run, trainer.net, trainer.optimizer, trainer.devices)
    if (run / CONFIG_FILE).exists():
        raise RunError(f"{run}: already holds a run; add --resume to go on with it, or give another --out.")
    run.mkdir(parents=True, exist_ok=True)
    with replaced_file(run / CONFIG_FILE) as path:
        path.write_text(config.to_json())
    return 0


def _refuse_another_run(config: TrainConfig, found: TrainConfig, run: Path) -> None:
    """A run goes on with the options it began with, but for those in `MAY_CHANGE`."""
    same = replace(found, **{name: getattr(config, name) for name in MAY_CHANGE})
    differing = [one.name for one in fields(config) if getattr(same, one.name) != getattr(config, one.name)]
    if differing:
        name = differing[0]
        raise RunError(
            f"{run}: was started with {name.replace('_', '-')} {getattr(found, name)}, not {getattr(config, name)}; "
            "resume with the options it began with, or train into a new folder."
        )


class _Loop:
    """One pass through the iterations, with its log."""

    def __init__(
        self, config: TrainConfig, run: Path, trainer: Trainer, loader: ImageLoader, watcher: ImageLoader
    ) -> None:
        self.config, self.run, self.trainer, self.loader, self.watcher = config, run, trainer, loader, watcher
        self.loss: float | None = None
        self.recall: float | None = None

    def go(self, start: int, on_progress: Callable[[TrainProgress], None]) -> TrainReport:
        began, iteration, num_images, seconds = time.monotonic(), start, 0, 0.0
        with interruptible() as interrupted, metrics_log(self.run / METRICS_FILE, start) as log:
            tick = time.monotonic()
            for batch in self.loader.training_batches(self._sampler(), start, self.config.iterations):
                loss = self.trainer.step(batch, iteration)
                iteration += 1
                num_images, seconds = num_images + len(batch.labels), seconds + time.monotonic() - tick
                stop = interrupted.is_set()
                recall = self._after(iteration, stop)
                progress = TrainProgress(iteration, self.config.iterations, loss, num_images / seconds, recall)
                log(progress)
                on_progress(progress)
                self.loss = loss
                if stop:
                    break
                tick = time.monotonic()
        if iteration == self.config.iterations:
            self._freeze()
        took = time.monotonic() - began
        return TrainReport(
            self.run, iteration, self.config.iterations, self.loss, self.recall, self.trainer.skipped, took
        )

    def _sampler(self) -> BalancedSampler:
        config = self.config
        return BalancedSampler(self.loader.table.labels, config.classes_per_batch, config.images_per_class, config.seed)

    def _after(self, iteration: int, interrupted: bool) -> float | None:
        """Measure recall and save a checkpoint where they are due; return the recall if it was measured."""
        from gluon_lifted.checkpoint import save_checkpoint

        recall = None
        if self._due(iteration, self.config.eval_every) and not interrupted:
            embedding = self.trainer.embed(self.watcher.test_batches(TEST_BATCH))
            if np.isfinite(embedding).all():  # if not, the trainer says so once it is sure
                recall = self.recall = recall_at_k(embedding, self.watcher.table.labels, (1,))[1]
        if self._due(iteration, self.config.checkpoint_every) or interrupted:
            save_checkpoint(self.run, iteration, self.trainer.net, self.trainer.optimizer)
        return recall

    def _due(self, iteration: int, every: int) -> bool:
        return iteration == self.config.iterations or (every > 0 and iteration % every == 0)

    def _freeze(self) -> None:
        from gluon_lifted.freeze import freeze

        config = self.config
        card = ModelCard(
            name=self.run.resolve().name,
            backbone=config.backbone,
            dim=config.dim,
            normalised=False,
            preprocessing=self.loader.preprocessing,
            dataset=config.dataset,
            loss=f"LiftedStructureLoss(margin={config.margin:g})",
            provenance={
                "iterations": str(config.iterations),
                "seed": str(config.seed),
                "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                **{name: metadata.version(name) for name in ("gluon-lifted", "numpy", "pillow")},
                "mxnet": _mxnet_version(),
            },
        )
        images = next(iter(self.watcher.test_batches(REFERENCE_IMAGES))).images
        freeze(self.trainer.net, self.run, card, images)


def _mxnet_version() -> str:
    from gluon_lifted.mx import mx

    return str(mx.__version__)
