"""Checkpoints of a run: all that training needs to go on. The newest two are kept.

The optimizer's state is written as plain arrays: MXNet's own format for it is a pickle, which can run code.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import RunError
from gluon_lifted.files import new_folder
from gluon_lifted.mx import mx, nd

if TYPE_CHECKING:
    from pathlib import Path

KEEP = 2
NETWORK_FILE, OPTIMIZER_FILE = "network.params", "optimizer.nd"
UPDATES = "updates"  # how often the weights were updated; Adam's bias correction depends on it


def save_checkpoint(run: Path, iteration: int, net: Any, trainer: Any) -> None:
    """Write ``run/checkpoints/<iteration>/``: it appears whole or not at all."""
    folder = run / "checkpoints" / f"{iteration:08d}"
    if folder.is_dir():  # same seed and iteration, hence the same weights
        return
    with new_folder(folder) as temporary:
        net.save_parameters(str(temporary / NETWORK_FILE))
        nd.save(str(temporary / OPTIMIZER_FILE), _optimizer_arrays(trainer))
    for old in _checkpoints(run)[:-KEEP]:
        shutil.rmtree(old)


def load_newest_checkpoint(run: Path, net: Any, trainer: Any, devices: list[Any]) -> int:
    """Put the newest checkpoint's weights and optimizer state in place; return its iteration.

    Raises
    ------
    RunError
        If the run has no checkpoint, or it is damaged or of another network.
    """
    folders = _checkpoints(run)
    if not folders:
        raise RunError(f"{run}: no checkpoint to resume from; train again into a new folder.")
    newest = folders[-1]
    try:
        net.load_parameters(str(newest / NETWORK_FILE), ctx=devices)
        _set_optimizer_arrays(trainer, nd.load(str(newest / OPTIMIZER_FILE)))
    except (mx.MXNetError, AssertionError, KeyError, OSError, ValueError) as error:
        raise RunError(
            f"{newest}: cannot be loaded ({error!s:.200}); remove it to resume from the one before."
        ) from None
    return int(newest.name)


def _checkpoints(run: Path) -> list[Path]:
    """Whole checkpoints, oldest first: names are zero-padded iterations."""
    return sorted(path for path in (run / "checkpoints").glob("[0-9]*") if path.is_dir())


def _parts(state: Any) -> tuple[Any, ...]:
    """An optimizer's state of one parameter: nothing (plain SGD), one array (momentum) or several (Adam)."""
    if state is None:
        return ()
    return tuple(state) if isinstance(state, (list, tuple)) else (state,)


def _optimizer_arrays(trainer: Any) -> dict[str, Any]:
    """State of the first device's updater; all devices hold the same."""
    states = trainer._updaters[0].states
    arrays = {f"{index}.{part}": array for index in states for part, array in enumerate(_parts(states[index]))}
    return {**arrays, UPDATES: nd.array([trainer.optimizer.num_update], dtype="int64")}


def _set_optimizer_arrays(trainer: Any, arrays: dict[str, Any]) -> None:
    optimizer = trainer.optimizer
    updates = int(arrays[UPDATES].asscalar())
    optimizer.num_update = updates
    for device, updater in enumerate(trainer._updaters):
        counts: dict[int, int] = {}
        for index, parameter in enumerate(trainer._params):
            if parameter.grad_req == "null" or not updates:
                continue
            state = optimizer.create_state_multi_precision(index, parameter.list_data()[device])
            for part, array in enumerate(_parts(state)):
                arrays[f"{index}.{part}"].copyto(array)
            updater.states[index] = state
            updater.states_synced[index] = True
            counts[index] = updates
        optimizer._all_index_update_counts[device] = counts
    optimizer._index_update_count = optimizer._all_index_update_counts[0]
