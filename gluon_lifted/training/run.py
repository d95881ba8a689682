"""A training run from data set to frozen model: what `lifted train` calls."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.batches.loader import ImageLoader
from gluon_lifted.batches.samplers import BalancedSampler, PairSampler, ShuffleSampler, TripletSampler
from gluon_lifted.cluster import ClusterSpec, join_cluster
from gluon_lifted.datasets import ImageTable, load_dataset
from gluon_lifted.datasets.base import require_trainable
from gluon_lifted.errors import ConfigError, RunError
from gluon_lifted.files import replaced_file
from gluon_lifted.images.colors import preprocessing_of
from gluon_lifted.machine.cpus import usable_cpus
from gluon_lifted.machine.devices import mxnet_contexts
from gluon_lifted.nets.mean_image import mean_residual
from gluon_lifted.settings.config import CONFIG_FILE, TrainConfig, spelled
from gluon_lifted.training.checkpoint import load_checkpoint
from gluon_lifted.training.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gluon_lifted.batches.samplers import Sampler
    from gluon_lifted.cluster import Cluster
    from gluon_lifted.training.loop import TrainReport
    from gluon_lifted.training.trainer import Trainer

WEIGHTS_FILE = "weights.json"  # what was taken of the weights that a run started from
MAY_CHANGE = ("data", "weights", "iterations", "eval_every", "checkpoint_every", "tensorboard")  # when a run is resumed


@dataclass(frozen=True)
class Machine:
    """Where a run is computed: decides its speed, never its batches.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"gpu"`` or several: ``"gpu:0,gpu:1"``.
    threads : int
        Images decoded at a time.
    cluster : ClusterSpec, optional
        This machine's place among several that train together.
    """

    device: str = "cpu"
    threads: int = field(default_factory=usable_cpus)
    cluster: ClusterSpec | None = None


def train(
    config: TrainConfig, run: Path, machine: Machine = Machine(), resume: bool = False, hooks: Hooks = Hooks()
) -> TrainReport:
    """Train a network and freeze it into ``run``.

    The folder then holds ``config.json``, ``metrics.jsonl`` (a line an iteration), ``curves.png``, ``checkpoints/``
    and the four files that ``lifted export`` reads. Ctrl-C ends the run after the current iteration, with a
    checkpoint. Of several machines one writes, into a folder that all of them see.

    Raises
    ------
    DataError, ConfigError, DeviceError, RunError
        Before anything is written if the data, an option, the device or the run folder cannot work.
    """
    if resume:
        config = _resumed(config, TrainConfig.read(run), run)
    elif (run / CONFIG_FILE).exists():
        raise RunError(f"{run}: already holds a run; add --resume to go on with it, or give another --out.")
    devices = mxnet_contexts(machine.device)
    learned, watched = _tables(config)
    residual = mean_residual(config)
    with join_cluster(machine.cluster) as cluster:
        from gluon_lifted.training.loop import Loop
        from gluon_lifted.training.trainer import Trainer

        sampler = _sampler(config, learned)
        _require_same_work(cluster, config, learned)
        _check_batch(len(sampler.batch(0)), len(devices) * cluster.size)
        trainer = Trainer(config, devices, cluster, residual)
        if config.weights and not resume:
            config = replace(config, colors=trainer.load_weights(hooks.on_note))
        preprocessing = preprocessing_of(config)
        with (
            ImageLoader(learned, preprocessing, machine.threads, residual) as loader,
            ImageLoader(watched, preprocessing, machine.threads) as watcher,
        ):
            loader.check_readable()
            watcher.check_readable()
            start = _open_run(config, run, trainer, resume, hooks)
            return Loop(config, run, trainer, sampler, loader, watcher).go(start, hooks)


def _resumed(config: TrainConfig, found: TrainConfig, run: Path) -> TrainConfig:
    """The configuration to go on with: the one the run began with, but for what is in `MAY_CHANGE`."""
    if config.colors == "auto":  # settled when the run began
        config = replace(config, colors=found.colors)
    same = replace(found, **{name: getattr(config, name) for name in MAY_CHANGE})
    for one in fields(config):
        if getattr(same, one.name) != getattr(config, one.name):
            raise RunError(
                f"{run}: was started with {spelled(one.name)} {getattr(found, one.name)}, "
                f"not {getattr(config, one.name)}; resume with the options it began with, or train into a new folder."
            )
    return config


def _tables(config: TrainConfig) -> tuple[ImageTable, ImageTable]:
    """Images to learn from, and images of classes kept out to watch recall on (the test classes if none are)."""
    root = Path(config.data)
    splits = load_dataset(config.dataset, root, config.use_boxes)
    num_classes = len(splits.train.class_names)
    kept_out = round(num_classes * config.validation_classes)
    learned, watched = splits.train.split_classes(num_classes - kept_out)
    require_trainable(learned, root)
    return learned, watched if len(watched) > 1 else splits.test


def _sampler(config: TrainConfig, table: ImageTable) -> Sampler:
    if config.sampler == "balanced":
        return BalancedSampler(table.labels, config.classes_per_batch, config.images_per_class, config.seed)
    samplers: dict[str, Callable[[NDArray[np.int64], int, int], Sampler]] = {
        "pairs": PairSampler,
        "triplets": TripletSampler,
        "shuffle": ShuffleSampler,
    }
    return samplers[config.sampler](table.labels, config.batch_size, config.seed)


def _require_same_work(cluster: Cluster, config: TrainConfig, table: ImageTable) -> None:
    """Refuse machines that were started with other options, but for the place of the data, or with other images."""
    cluster.require_same("configuration", replace(config, data="").to_json())
    cluster.require_same(
        "data set", repr([(path.name, label) for path, label in zip(table.paths, table.labels, strict=True)])
    )


def _check_batch(batch: int, devices: int) -> None:
    if batch < devices:
        raise ConfigError(f"a batch of {batch} images cannot be shared by {devices} devices; name fewer.")


def _write(path: Path, text: str) -> None:
    with replaced_file(path) as temporary:
        temporary.write_text(text)


def _open_run(config: TrainConfig, run: Path, trainer: Trainer, resume: bool, hooks: Hooks) -> int:
    """Make the run folder, or go on in it; give all machines the writer's weights. Return the iteration to start at."""
    start = 0
    if trainer.cluster.is_writer:
        if resume:
            start = load_checkpoint(run, trainer.restore, hooks.on_note)
        else:
            run.mkdir(parents=True, exist_ok=True)
            if trainer.weights is not None:
                _write(run / WEIGHTS_FILE, json.dumps(asdict(trainer.weights), indent=2))
            _write(run / CONFIG_FILE, config.to_json())
    if trainer.cluster.size > 1:
        state = trainer.cluster.broadcast(trainer.state() | {"start": np.array(start, np.float64)})
        trainer.restore(state)
        start = int(state["start"])
    return start
