"""Create or resume the run folder."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.config.schedules import learning_rate
from gluon_lifted.config.train_config import CONFIG_FILE, TrainConfig, spelled
from gluon_lifted.errors import RunError
from gluon_lifted.files import remove_leftovers, replaced_file
from gluon_lifted.training.checkpoint import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gluon_lifted.training.trainer import Trainer

WEIGHTS_FILE = "weights.json"  # `WeightsReport` of the initial weights
# Fields that can differ when a run is resumed
MAY_CHANGE = ("data", "iterations", "eval_every", "patience", "checkpoint_every", "test", "tensorboard")


def check_run(run: Path, config: TrainConfig, *, resume: bool) -> TrainConfig:
    """Check the run folder and return the configuration to train with: ``"auto"`` of a resumed run is resolved.

    Raises
    ------
    RunError
        If the folder holds a run and ``resume`` is false, holds none and it is true, or the configurations differ in
        more than `MAY_CHANGE`.
    """
    if run.exists() and not run.is_dir():
        raise RunError(f"{run}: not a folder. Give the run folder to write with --out.")
    if not resume:
        if (run / CONFIG_FILE).exists():
            raise RunError(f"{run}: already contains a run. Add --resume to continue it, or give another --out.")
        return config
    if not (run / CONFIG_FILE).exists():
        raise RunError(f"{run}: not a run folder, so there is nothing to resume. Leave out --resume, or check --out.")
    started = TrainConfig.read(run)
    settled = {setting.name: getattr(started, setting.name) for setting in fields(config)}  # when the run began
    config = replace(config, **{name: value for name, value in settled.items() if getattr(config, name) == "auto"})
    same = replace(started, **{name: getattr(config, name) for name in MAY_CHANGE})
    for setting in fields(config):
        if getattr(same, setting.name) != getattr(config, setting.name):
            raise RunError(
                f"{run}: was started with {spelled(setting.name)} {getattr(started, setting.name)}, "
                f"not {getattr(config, setting.name)}. Resume with the same options, or train into a new folder."
            )
    return config


def open_run(config: TrainConfig, run: Path, trainer: Trainer, on_note: Callable[[str], None], *, resume: bool) -> int:
    """Create or resume the run folder, and send host 0's weights to all hosts. Return the iteration to start at.

    A new run saves a checkpoint at once, so that it can be resumed whenever it is killed.

    Raises
    ------
    RunError
        If the folder cannot be written, has no checkpoint to resume from, or is beyond ``iterations``.
    """
    start = 0
    if trainer.cluster.is_writer:
        if resume:
            remove_leftovers(run)
            start = load_checkpoint(run, trainer.restore, on_note)
            if start > config.iterations:
                raise RunError(
                    f"{run}: has already trained {start:,} iterations, more than --iterations {config.iterations:,}. "
                    f"Give --iterations {start} or more."
                )
            _note_rate(TrainConfig.read(run), config, start, on_note)
        _write_settings(config, run, trainer)
        if not resume:
            save_checkpoint(run, 0, trainer.state())
    if trainer.cluster.size > 1:
        state = trainer.cluster.broadcast(trainer.state() | {"start": np.array(start, np.float64)})
        trainer.restore(state)
        start = int(state["start"])
    return start


def _note_rate(before: TrainConfig, now: TrainConfig, start: int, on_note: Callable[[str], None]) -> None:
    """Say that extending a run changes the learning rate of a schedule that ends at ``iterations``."""
    last, following = learning_rate(before, max(start - 1, 0)), learning_rate(now, start)
    if learning_rate(before, start) != following:
        on_note(
            f"the {now.schedule} schedule now ends at iteration {now.iterations:,} instead of {before.iterations:,}, "
            f"so the learning rate changes from {last:.3g} to {following:.3g}."
        )


def weights_origin(run: Path) -> str:
    """Return where a run's initial weights are from: the ``origin`` in their report; ``"random"`` without a report."""
    try:
        return str(json.loads((run / WEIGHTS_FILE).read_text())["origin"])
    except FileNotFoundError:
        return "random"
    except (OSError, KeyError, TypeError, ValueError):
        return "unknown"


def _write_settings(config: TrainConfig, run: Path, trainer: Trainer) -> None:
    try:
        run.mkdir(parents=True, exist_ok=True)
        if trainer.weights is not None:
            _write(run / WEIGHTS_FILE, json.dumps(asdict(trainer.weights), indent=2))
        _write(run / CONFIG_FILE, config.to_json())
    except OSError as error:
        raise RunError(f"{run}: cannot be written ({error.strerror}). Give another --out.") from None


def _write(path: Path, text: str) -> None:
    with replaced_file(path) as temporary:
        temporary.write_text(text)
