"""Functions composed of several ONNX nodes, where rounding, tiny and huge numbers could go wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from export.errors import UnsupportedAttributeError
from tests.export.mxnet_files import Net
from tests.export.ops_runner import run_onnx, translate_net

if TYPE_CHECKING:
    from collections.abc import Callable

HALVES = [-2.5, -1.5, -1, -0.5, 0.5, 1, 1.5, 2.5]
BETWEEN = [0.49999997, -0.49999997, 0.50000006, -0.50000006, -1e-10, 0.0, 8388609, -8388609, 1e9]
TINY = [-1e-3, -1e-6, -1e-20, 0.0, 1e-20, 1e-7, 1e-4]
INFINITE = [-math.inf, math.inf]


def away(x: float) -> float:
    return math.copysign(math.floor(abs(x) + 0.5), x) if abs(x) < 1e6 and abs(x) != np.float32(0.49999997) else round(x)


def down(x: float) -> float:
    floor = math.floor(x)
    return floor if x - floor <= 0.5 else floor + 1


EXTREMES: dict[str, tuple[list[float], Callable[[float], float]]] = {
    "round": (HALVES + BETWEEN, away),
    "rint": (HALVES + BETWEEN, down),
    "fix": (HALVES + BETWEEN, math.trunc),
    "trunc": (HALVES + BETWEEN, math.trunc),
    "logical_not": ([-1e-38, 1e-38, 0.0, -0.0, 3, *INFINITE], lambda x: float(x == 0)),
    "_mod_scalar": (
        [*HALVES, *TINY[:2], 1e-4, 3.75, -3.75, 8388609],
        lambda x: float(np.mod(np.float32(x), np.float32(1))),
    ),
    "expm1": ([*TINY, -200, -50, -1, 3, 80, *INFINITE], np.expm1),
    "log1p": ([*TINY, -1, -0.9999, -0.5, 0.999, 1, 1.001, 3, 1e8, 1e30, math.inf], np.log1p),
    "cbrt": ([*TINY, -8, 27, 1e30, *INFINITE], np.cbrt),
    "rcbrt": ([-1e-20, 1e-20, -8, 27, *INFINITE], lambda x: 1 / np.cbrt(x)),
    "rsqrt": ([1e-20, 4, math.inf], lambda x: x**-0.5),
    "smooth_l1": (
        [-1e-3, -1e-6, 0.0, -1, 1, 0.99999994, 1.0000001, 1e30],
        lambda x: x * x / 2 if abs(x) < 1 else abs(x) - 0.5,
    ),
}


def network(op: str, attrs: dict[str, str] | None = None) -> Net:
    net = Net()
    net.op("Flatten", "last", [net.op(op, "tested", [net.variable("data")], attrs)])
    return net


@pytest.mark.parametrize("op", EXTREMES)
def test_extremes(op: str) -> None:
    numbers, oracle = EXTREMES[op]
    x = np.array(numbers, np.float32).reshape(1, 1, 1, -1)
    with np.errstate(all="ignore"):
        expected = [oracle(float(value)) for value in x.ravel()]
    actual = run_onnx(translate_net(network(op), x.shape[1:]), x)[0]
    np.testing.assert_allclose(actual, np.array(expected), rtol=2e-6, atol=0)


@pytest.mark.parametrize("scalar", ["0", "1e-200", "1e200"])
def test_smooth_l1_of_no_width_or_every_width_is_refused(scalar: str) -> None:
    with pytest.raises(UnsupportedAttributeError, match="a number whose square is between"):
        translate_net(network("smooth_l1", {"scalar": scalar}), (1, 2, 2))
