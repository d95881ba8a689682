"""A training run from data set to frozen model: what `lifted train` calls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_lifted.batches.loader import ImageLoader
from gluon_lifted.devices import mxnet_contexts
from gluon_lifted.distributed import ClusterSpec, join_cluster
from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.cpus import usable_cpus
from gluon_lifted.images.colors import preprocessing_of
from gluon_lifted.logs.tensorboard import require_tensorboardx
from gluon_lifted.networks.mean_image import mean_residual
from gluon_lifted.training.data import batch_notes, build_sampler, load_data
from gluon_lifted.training.hooks import Hooks
from gluon_lifted.training.run_folder import check_run, open_run

if TYPE_CHECKING:
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.datasets import ImageTable
    from gluon_lifted.distributed import Cluster
    from gluon_lifted.training.loop import TrainReport
    from gluon_lifted.training.trainer import Trainer


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
    config = check_run(run, config, resume)
    if config.tensorboard:
        require_tensorboardx()
    devices = mxnet_contexts(machine.device)
    data = load_data(config)
    residual = mean_residual(config)
    with join_cluster(machine.cluster) as cluster:
        from gluon_lifted.training.loop import Loop
        from gluon_lifted.training.trainer import Trainer

        sampler = build_sampler(config, data.learned)
        _require_same_work(cluster, config, data.learned)
        batch = len(sampler.batch(0))
        _check_batch(batch, len(devices) * cluster.size)
        for note in (*data.notes, *batch_notes(config, data.learned, batch)):
            hooks.on_note(note)
        trainer = Trainer(config, devices, cluster, residual)
        config = replace(config, colors=_settled_colors(config, trainer, resume, hooks))
        preprocessing = preprocessing_of(config)
        with (
            ImageLoader(data.learned, preprocessing, machine.threads, residual) as loader,
            ImageLoader(data.watched, preprocessing, machine.threads) as watcher,
        ):
            loader.check_readable()
            watcher.check_readable()
            start = open_run(config, run, trainer, resume, hooks.on_note)
            return Loop(config, run, trainer, sampler, loader, watcher, data.watched_as).run(start, hooks)


def _settled_colors(config: TrainConfig, trainer: Trainer, resume: bool, hooks: Hooks) -> str:
    """Those that the weights to start from were trained with; a run that is resumed has its own."""
    if config.weights and not resume:
        return trainer.load_weights(hooks.on_note)
    return "imagenet" if config.colors == "auto" else config.colors


def _require_same_work(cluster: Cluster, config: TrainConfig, table: ImageTable) -> None:
    """Refuse machines that were started with other options, but for the place of the data, or with other images."""
    cluster.require_same("configuration", replace(config, data="").to_json())
    cluster.require_same(
        "data set", repr([(path.name, label) for path, label in zip(table.paths, table.labels, strict=True)])
    )


def _check_batch(batch: int, devices: int) -> None:
    if batch < devices:
        raise ConfigError(f"a batch of {batch} images cannot be shared by {devices} devices; name fewer.")
