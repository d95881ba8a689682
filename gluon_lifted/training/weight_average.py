"""Average the weights of a network over the iterations of its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.mx import nd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

AVERAGE, COUNT = "average:", "averaged"  # prefix and name in a state


class WeightAverage:
    r"""An exponential moving average of parameters, including batch norm's statistics.

    Parameters
    ----------
    parameters : mapping of str to gluon.Parameter
        By their names in a state. Initialized.
    horizon : int
        Iterations h that the average remembers.

    Notes
    -----
    After update t the average is :math:`a_t = a_{t-1} + (w_t - a_{t-1}) / \min(t, h)`: the plain mean of the first h
    weights, then a moving average with decay 1 - 1/h (Polyak and Juditsky 1992; Tarvainen and Valpola 2017).
    """

    def __init__(self, parameters: Mapping[str, Any], horizon: int) -> None:
        self._parameters, self._horizon = parameters, horizon
        self._count = 0
        self._averages = {name: nd.zeros_like(parameter.list_data()[0]) for name, parameter in parameters.items()}

    def update(self) -> None:
        """Add the weights after an iteration."""
        self._count += 1
        share = 1 / min(self._count, self._horizon)
        for name, average in self._averages.items():
            average[:] = average + (self._parameters[name].list_data()[0] - average) * share

    def swap(self) -> None:
        """Exchange weights and averages on all devices. A second call restores both. Before an update: no effect."""
        if not self._count:
            return
        for name, average in self._averages.items():
            weight = self._parameters[name].list_data()[0].copy()
            self._parameters[name].set_data(average)
            weight.copyto(average)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return averages and count as arrays by name."""
        arrays = {AVERAGE + name: average.asnumpy() for name, average in self._averages.items()}
        return arrays | {COUNT: np.array(self._count, np.float64)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned. Raises KeyError or ValueError if it belongs to another network."""
        for name, average in self._averages.items():
            if state[AVERAGE + name].shape != average.shape:
                raise ValueError(f"{AVERAGE}{name} is {state[AVERAGE + name].shape}, expected {average.shape}")
        for name, average in self._averages.items():
            average[:] = nd.array(state[AVERAGE + name], dtype=average.dtype)
        self._count = int(state[COUNT])
