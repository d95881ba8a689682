"""The run folder: created, or continued."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.config.train_config import CONFIG_FILE, TrainConfig, spelled
from gluon_lifted.errors import RunError
from gluon_lifted.files import remove_leftovers, replaced_file
from gluon_lifted.training.checkpoint import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gluon_lifted.training.trainer import Trainer

WEIGHTS_FILE = "weights.json"  # what was taken of the weights that a run started from
MAY_CHANGE = ("data", "iterations", "eval_every", "checkpoint_every", "tensorboard")  # when a run is resumed


def check_run(run: Path, config: TrainConfig, resume: bool) -> TrainConfig:
    """The configuration to train with: what a run to be resumed began with, but for what is in `MAY_CHANGE`.

    Raises
    ------
    RunError
        If the folder holds a run that is not to be resumed, none that could be, or one of another configuration.
    """
    if run.exists() and not run.is_dir():
        raise RunError(f"{run}: is no folder; give --out the name of the run folder to write.")
    if not resume:
        if (run / CONFIG_FILE).exists():
            raise RunError(f"{run}: already holds a run; add --resume to continue it, or give another --out.")
        return config
    started = TrainConfig.read(run)
    if config.colors == "auto":  # settled when the run began
        config = replace(config, colors=started.colors)
    same = replace(started, **{name: getattr(config, name) for name in MAY_CHANGE})
    for setting in fields(config):
        if getattr(same, setting.name) != getattr(config, setting.name):
            raise RunError(
                f"{run}: was started with {spelled(setting.name)} {getattr(started, setting.name)}, "
                f"not {getattr(config, setting.name)}; resume with the same options, or train into a new folder."
            )
    return config


def open_run(config: TrainConfig, run: Path, trainer: Trainer, resume: bool, on_note: Callable[[str], None]) -> int:
    """Make the run folder, or continue in it; give all hosts the writer's weights. Return the iteration to start at.

    A new run has a checkpoint at once, so that one that is killed at any moment can be resumed.

    Raises
    ------
    RunError
        If the folder cannot be written, or has no checkpoint to continue from, or is further than ``iterations``.
    """
    start = 0
    if trainer.cluster.is_writer:
        if resume:
            remove_leftovers(run)
            start = load_checkpoint(run, trainer.restore, on_note)
            if start > config.iterations:
                raise RunError(
                    f"{run}: has trained {start:,} iterations, more than the {config.iterations:,} asked for; "
                    f"give --iterations {start} or more."
                )
        _write_settings(config, run, trainer)
        if not resume:
            save_checkpoint(run, 0, trainer.state())
    if trainer.cluster.size > 1:
        state = trainer.cluster.broadcast(trainer.state() | {"start": np.array(start, np.float64)})
        trainer.restore(state)
        start = int(state["start"])
    return start


def _write_settings(config: TrainConfig, run: Path, trainer: Trainer) -> None:
    try:
        run.mkdir(parents=True, exist_ok=True)
        if trainer.weights is not None:
            _write(run / WEIGHTS_FILE, json.dumps(asdict(trainer.weights), indent=2))
        _write(run / CONFIG_FILE, config.to_json())
    except OSError as error:
        raise RunError(f"{run}: cannot be written ({error.strerror}); give another --out.") from None


def _write(path: Path, text: str) -> None:
    with replaced_file(path) as temporary:
        temporary.write_text(text)
