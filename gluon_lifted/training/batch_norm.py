"""The running mean and variance of a network's batch norm layers, on all devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gluon_lifted.mx import nd

if TYPE_CHECKING:
    from collections.abc import Mapping

STATISTICS = ("running_mean", "running_var")


class BatchNormStatistics:
    """Running statistics, which MXNet updates in the backward pass.

    Parameters
    ----------
    parameters : mapping of str to gluon.Parameter
        All parameters of a network, initialized.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = [parameter for name, parameter in parameters.items() if name.endswith(STATISTICS)]
        by_parameter = [parameter.list_data() for parameter in self._parameters]
        self._by_device = list(zip(*by_parameter, strict=True))

    def copy(self) -> list[Any]:
        """Copy the statistics, one flat array per device: one operator, where a copy per layer would be a hundred."""
        return [nd.concat(*(array.reshape(-1) for array in arrays), dim=0) for arrays in self._by_device]

    def restore(self, copies: list[Any]) -> None:
        """Undo the changes since `copy` returned ``copies``."""
        for arrays, flat in zip(self._by_device, copies, strict=True):
            start = 0
            for array in arrays:
                flat[start : start + array.size].reshape(array.shape).copyto(array)
                start += array.size

    def average(self) -> None:
        """Average over devices, since each has seen different images."""
        if len(self._by_device) > 1:
            for parameter in self._parameters:
                parameter.set_data(parameter._reduce())
