"""Optimizer: apply gradients on all devices and hosts, with clipping, and skip gradients that are not finite."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.config.schedules import learning_rate
from gluon_lifted.mx import gluon, nd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.distributed import Cluster

FIRST_SCALE, LARGEST_SCALE = 2.0**16, 2.0**24  # as in MXNet AMP (contrib/amp/loss_scaler.py); next line too
DOUBLE_AFTER = 2000  # consecutive good steps
UPDATES, SCALE, GOOD_STEPS = "updates", "scale", "good_steps"


class Optimizer:
    """SGD or Adam over a network's parameters.

    Parameters
    ----------
    parameters : gluon.ParameterDict
        Initialized on every device. Their ``lr_mult`` and ``wd_mult`` apply.
    config : TrainConfig
        Rates, decay, clipping. With ``amp`` gradients are scaled up, so that float16 does not round them to 0.
    cluster : Cluster
        The hosts whose gradients are summed.

    Notes
    -----
    The scale of mixed precision is halved when a gradient overflows, and doubled after 2,000 steps without overflow
    (Micikevicius et al. 2018, "Mixed precision training", section 3.2).
    """

    def __init__(self, parameters: Any, config: TrainConfig, cluster: Cluster) -> None:
        arguments = {"learning_rate": config.learning_rate, "wd": config.weight_decay}
        if config.optimizer == "sgd":
            arguments["momentum"] = config.momentum
        self._trainer = gluon.Trainer(parameters, config.optimizer, arguments, update_on_kvstore=False)
        self._config, self._cluster = config, cluster
        # Gluon would do this after the first backward pass, and revert that pass's update of batch norm statistics
        self._trainer._init_kvstore()
        self._trainer._init_params()
        self._trained = [parameter for parameter in self._trainer._params if parameter.grad_req != "null"]
        self._scale = FIRST_SCALE if config.amp else 1.0
        self._good_steps = 0
        self._create_states()

    @property
    def gradient_scale(self) -> float:
        """Factor on the gradient of the loss during the backward pass."""
        return self._scale

    def step(self, iteration: int) -> bool:
        """Apply the gradients. Return False, changing nothing, if they are not finite."""
        self._trainer.allreduce_grads()  # over this host's devices
        gradients = [parameter.list_grad() for parameter in self._trained]
        summed = self._cluster.all_sum_many("gradient", [copies[0] for copies in gradients])
        for total, copies in zip(summed, gradients, strict=True):
            for copy in copies:
                if copy is not total:
                    total.copyto(copy)
        firsts = [copies[0] for copies in gradients]
        squared_norm = float(nd.multi_sum_sq(*firsts, num_arrays=len(firsts)).sum().asscalar())
        self._adapt_scale(finite=math.isfinite(squared_norm))
        if not math.isfinite(squared_norm):
            return False
        scale, limit = self._scale_of_gradients, self._config.clip_gradient
        if limit:
            scale = max(scale, math.sqrt(squared_norm) / limit)  # the applied norm is then at most the limit
        self._trainer.set_learning_rate(learning_rate(self._config, iteration))
        self._trainer.update(scale)  # divides by ``scale``; the loss already is a mean over pairs
        return True

    def _adapt_scale(self, *, finite: bool) -> None:
        self._scale_of_gradients = self._scale
        if not self._config.amp:
            return
        self._good_steps = self._good_steps + 1 if finite else 0
        if not finite:
            self._scale /= 2
        elif self._good_steps % DOUBLE_AFTER == 0:
            self._scale = min(2 * self._scale, LARGEST_SCALE)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the next step depends on, as arrays by name. It is equal on all devices."""
        states = self._trainer._updaters[0].states
        arrays = {
            f"{index}.{part}": array.asnumpy() for index in states for part, array in enumerate(_parts(states[index]))
        }
        numbers = {UPDATES: self._trainer.optimizer.num_update, SCALE: self._scale, GOOD_STEPS: self._good_steps}
        return arrays | {name: np.array(value, np.float64) for name, value in numbers.items()}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Restore what `state` returned. Raises KeyError or ValueError if it belongs to another network."""
        optimizer = self._trainer.optimizer
        for updater in self._trainer._updaters:
            for index, parameter_state in updater.states.items():
                for part, array in enumerate(_parts(parameter_state)):
                    value = state[f"{index}.{part}"]
                    if value.shape != array.shape:
                        raise ValueError(f"optimizer state {index}.{part} is {value.shape}, expected {array.shape}")
                    array[:] = nd.array(value, dtype=value.dtype)
        updates = int(state[UPDATES])
        self._scale, self._good_steps = float(state[SCALE]), int(state[GOOD_STEPS])
        optimizer.num_update = updates
        indices = list(self._trainer._updaters[0].states) if updates else []
        devices = [device.device_id for device in self._trained[0].list_ctx()]
        optimizer._all_index_update_counts = {device: dict.fromkeys(indices, updates) for device in devices}
        optimizer._index_update_count = optimizer._all_index_update_counts[devices[0]]

    def _create_states(self) -> None:
        """Create states as the first step would, so that `state` has the same names before and after it."""
        optimizer = self._trainer.optimizer
        for device, updater in enumerate(self._trainer._updaters):
            for index, parameter in enumerate(self._trainer._params):
                if parameter.grad_req != "null":
                    weight = parameter.list_data()[device]
                    updater.states[index] = optimizer.create_state_multi_precision(index, weight)
                    updater.states_synced[index] = True


def _parts(state: Any) -> tuple[Any, ...]:
    """Return the arrays of a parameter's state: none (plain SGD), one (momentum) or several (Adam)."""
    if state is None:
        return ()
    return tuple(state) if isinstance(state, (list, tuple)) else (state,)
