"""A training run from data set to frozen network, as `lifted train` calls it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.batches.loader import ImageLoader
from gluon_lifted.devices import mxnet_contexts
from gluon_lifted.distributed import ClusterSpec, join_cluster
from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.cpus import usable_cpus
from gluon_lifted.images.colors import preprocessing_of
from gluon_lifted.images.interpolations import DEFAULT_INTERPOLATION
from gluon_lifted.logs.tensorboard import require_tensorboardx
from gluon_lifted.networks.mean_image import mean_residual
from gluon_lifted.training.best_recall import settle_keep
from gluon_lifted.training.data import batch_notes, build_sampler, load_data
from gluon_lifted.training.run_folder import check_run, open_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.datasets import ImageTable
    from gluon_lifted.distributed import Cluster
    from gluon_lifted.logs.run_log import TrainProgress
    from gluon_lifted.metrics.recall_comparison import RecallComparison
    from gluon_lifted.training.data import TrainingData
    from gluon_lifted.training.evaluation import Evaluation
    from gluon_lifted.training.loop import TrainReport
    from gluon_lifted.training.trainer import Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hooks:
    """Callbacks of a run.

    Parameters
    ----------
    on_progress : callable
        Called after each iteration.
    on_note : callable
        Called with each sentence to show the user. By default it is logged.
    on_start : callable
        Called with the recall before training, once it is known.
    """

    on_progress: Callable[[TrainProgress], None] = lambda _: None
    on_note: Callable[[str], None] = lambda note: log.info("%s", note)
    on_start: Callable[[RecallComparison], None] = lambda _: None


@dataclass(frozen=True)
class Hardware:
    """Hardware that a run uses. It affects speed, never the batches.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"gpu"``, or several GPUs: ``"gpu:0,gpu:1"``.
    threads : int
        Images decoded at a time.
    cluster : ClusterSpec, optional
        The hosts that train together, and this host's rank.
    """

    device: str = "cpu"
    threads: int = field(default_factory=usable_cpus)
    cluster: ClusterSpec | None = None


def train(
    config: TrainConfig,
    run: str | Path,
    hardware: Hardware = Hardware(),
    *,
    resume: bool = False,
    hooks: Hooks = Hooks(),
) -> TrainReport:
    """Train a network and freeze it into ``run``.

    The folder then holds ``config.json``, ``metrics.jsonl`` (one line per iteration), ``curves.png``,
    ``start.json`` and ``result.json`` (recall before and after training), ``checkpoints/`` and the four files that
    ``lifted export`` reads. Ctrl-C ends the run after the current iteration, with a checkpoint.

    Parameters
    ----------
    config : TrainConfig
        All settings that affect the result.
    run : str or Path
        Run folder to write. If several hosts train together, all must see it. Host 0 writes it.
    hardware : Hardware
        Devices, decoding threads and hosts to train with.
    resume : bool
        Resume the run in ``run`` from its newest intact checkpoint.
    hooks : Hooks
        Callbacks. Progress goes to `gluon_lifted.progress` without them, too.

    Raises
    ------
    DataError, ConfigError, DeviceError, RunError
        If the data, an option, the device or the run folder cannot work. Nothing is written before these checks.

    Examples
    --------
    >>> config = resolve_config({"data": "photos", "weights": "imagenet"})  # doctest: +SKIP
    >>> train(config, "runs/mine").kept_recall  # doctest: +SKIP
    """
    run = Path(run)
    config = check_run(run, config, resume=resume)
    if config.tensorboard:
        require_tensorboardx()
    devices = mxnet_contexts(hardware.device)
    _check_network(config, resume=resume)
    data = load_data(config)
    config = settle_keep(config, data.watched_kind, len(data.watched.class_names), hooks.on_note)
    residual = mean_residual(config)
    with join_cluster(hardware.cluster) as cluster:
        from gluon_lifted.training.evaluation import Evaluation
        from gluon_lifted.training.loop import Loop
        from gluon_lifted.training.trainer import Trainer

        sampler = build_sampler(config, data.learned)
        _require_same_work(cluster, config, data.learned)
        _check_batches(config, data, len(sampler.batch(0)), len(devices) * cluster.size, hooks)
        trainer = Trainer(config, devices, cluster, residual, len(data.learned.class_names))
        config = _settled(config, trainer, hooks, resume=resume)
        preprocessing = preprocessing_of(config)
        with (
            ImageLoader(data.learned, preprocessing, hardware.threads, residual, config.augment) as loader,
            ImageLoader(data.watched, preprocessing, hardware.threads) as watcher,
        ):
            loader.check_readable()
            watcher.check_readable()
            evaluation = Evaluation(trainer, watcher, data, folder=run, threads=hardware.threads, hooks=hooks)
            start = _start(config, loader, evaluation, resume=resume)
            loop = Loop(
                config=config, folder=run, trainer=trainer, sampler=sampler, loader=loader, evaluation=evaluation
            )
            return loop.run(start, hooks)


def _check_network(config: TrainConfig, *, resume: bool) -> None:
    """Refuse unknown backbones and weights before the data set is read. A resumed run has its own weights."""
    from gluon_lifted.networks.backbones import require_backbone
    from gluon_lifted.networks.pretrained.fetch import require_source

    require_backbone(config.backbone)
    if config.weights and not resume:
        require_source(config.weights)


def _settled(config: TrainConfig, trainer: Trainer, hooks: Hooks, *, resume: bool) -> TrainConfig:
    """Set what ``auto`` leaves to the initial weights, after loading them. A resumed run keeps its own values."""
    values: dict[str, Any]
    if config.weights and not resume:
        values = dict(trainer.load_weights(hooks.on_note))
    else:
        without_weights = {"colors": "imagenet", "interpolation": DEFAULT_INTERPOLATION}
        values = {name: value for name, value in without_weights.items() if getattr(config, name) == "auto"}
    config = replace(config, **values)
    trainer.cluster.require_same("preprocessing", f"{config.colors} {config.interpolation}")  # by source of weights
    return config


def _start(config: TrainConfig, loader: ImageLoader, evaluation: Evaluation, *, resume: bool) -> int:
    """Start or resume a run: embedding layer, run folder, recall before training. Return the iteration to start at."""
    from gluon_lifted.training.embedding_start import start_from_pca

    trainer, hooks = evaluation.trainer, evaluation.hooks
    is_writer = trainer.cluster.is_writer
    if config.embedding_init == "pca" and is_writer and not resume:
        start_from_pca(trainer, loader, hooks)
    start = open_run(config, evaluation.folder, trainer, hooks.on_note, resume=resume)
    if is_writer:
        evaluation.measure_start(start, resume=resume)
    return start


def _require_same_work(cluster: Cluster, config: TrainConfig, table: ImageTable) -> None:
    """Refuse hosts whose images differ, or whose options do, except for the location of the data."""
    cluster.require_same("configuration", replace(config, data="").to_json())
    cluster.require_same(
        "data set", repr([(path.name, label) for path, label in zip(table.paths, table.labels, strict=True)])
    )


def _check_batches(config: TrainConfig, data: TrainingData, batch: int, devices: int, hooks: Hooks) -> None:
    """Refuse batches with fewer images than devices. Report notes on data and batches."""
    if batch < devices:
        raise ConfigError(
            f"a batch of {batch} images is too small for {devices} devices. Raise --batch-size, or use fewer devices."
        )
    for note in (*data.notes, *batch_notes(config, data.learned, batch)):
        hooks.on_note(note)
