"""Batch norm whose epsilon differs between a backbone and its twin.

Batch norm divides by ``sqrt(variance + epsilon)``. The difference of the epsilons is added to the running variance, so
that both networks divide by the same number: exact where the running variance is used. Batches in training are divided
by their own variance, with the backbone's epsilon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Twin's epsilon minus ours: torchvision/models/mobilenetv3.py has eps=0.001, Gluon's BatchNorm 1e-5
EPSILON_EXCESS = {"mobilenetv3_large": 1e-3 - 1e-5, "mobilenetv3_small": 1e-3 - 1e-5}
VARIANCE = ".running_var"


def from_twin(array: NDArray[Any], parameter: str, backbone: str) -> NDArray[Any]:
    """Convert the values of the twin's parameter to ours.

    Examples
    --------
    >>> from_twin(np.array([1.0]), "features.1.running_var", "mobilenetv3_small")
    array([1.00099])
    >>> from_twin(np.array([1.0]), "features.1.gamma", "mobilenetv3_small")
    array([1.])
    """
    return _shifted(array, parameter, EPSILON_EXCESS.get(backbone, 0.0))


def to_twin(array: NDArray[Any], parameter: str, backbone: str) -> NDArray[Any]:
    """Convert the values of our parameter to the twin's.

    A variance smaller than the difference becomes negative. With the twin's epsilon the sum is positive again.
    """
    return _shifted(array, parameter, -EPSILON_EXCESS.get(backbone, 0.0))


def _shifted(array: NDArray[Any], parameter: str, shift: float) -> NDArray[Any]:
    if not shift or not parameter.endswith(VARIANCE):
        return array
    return (array.astype(np.float64) + shift).astype(array.dtype)
