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
    from gluon_lifted.training.loss_scale import LossScale

UPDATES, SCALE, GOOD_STEPS = "updates", "scale", "good_steps"


class Optimizer:
    """SGD or Adam over a network's parameters.

    Parameters
    ----------
    parameters : gluon.ParameterDict
        Initialized on every device. Their ``lr_mult`` and ``wd_mult`` apply.
    config : TrainConfig
        Rates, decay, clipping.
    cluster : Cluster
        The hosts whose gradients are summed.
    scale : LossScale
        Factor on the gradient of the loss, which the gradients are divided by.
    """

    def __init__(self, parameters: Any, config: TrainConfig, cluster: Cluster, scale: LossScale) -> None:
        arguments = {"learning_rate": config.learning_rate, "wd": config.weight_decay}
        if config.optimizer == "sgd":
            arguments["momentum"] = config.momentum
        self._trainer = gluon.Trainer(parameters, config.optimizer, arguments, update_on_kvstore=False)
        self._config, self._cluster, self.scale = config, cluster, scale
        # Gluon would do this after the first backward pass, and revert that pass's update of batch norm statistics
        self._trainer._init_kvstore()
        self._trainer._init_params()
        self._trained = [parameter for parameter in self._trainer._params if parameter.grad_req != "null"]
        self._create_states()

    def sum_gradients(self) -> Any:
        """Sum the gradients over devices and hosts. Return the squared norm of all, (1,), without waiting for it."""
        self._trainer.allreduce_grads()  # over this host's devices
        gradients = [parameter.list_grad() for parameter in self._trained]
        summed = self._cluster.all_sum_many("gradient", [copies[0] for copies in gradients])
        for total, copies in zip(summed, gradients, strict=True):
            for copy in copies:
                if copy is not total:
                    total.copyto(copy)
        firsts = [copies[0] for copies in gradients]
        return nd.multi_sum_sq(*firsts, num_arrays=len(firsts)).sum()

    def step(self, iteration: int, squared_norm: float) -> bool:
        """Apply the summed gradients, whose squared norm is given. Return False, changing nothing, if not finite."""
        scale, limit, finite = self.scale.value, self._config.clip_gradient, math.isfinite(squared_norm)
        self.scale.adapt(finite=finite)
        if not finite:
            return False
        if limit:
            scale = max(scale, math.sqrt(squared_norm) / limit)  # the applied norm is then at most the limit
        self._trainer.set_learning_rate(learning_rate(self._config, iteration))
        self._trainer.update(scale)  # divides by ``scale``; the loss already is a mean over pairs
        return True

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next step depends on, as arrays by name. It is equal on all devices."""
        states = self._trainer._updaters[0].states
        arrays = {
            f"{index}.{part}": array.asnumpy() for index in states for part, array in enumerate(_parts(states[index]))
        }
        numbers = {
            UPDATES: self._trainer.optimizer.num_update,
            SCALE: self.scale.value,
            GOOD_STEPS: self.scale.good_steps,
        }
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
        self.scale.value, self.scale.good_steps = float(state[SCALE]), int(state[GOOD_STEPS])
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
