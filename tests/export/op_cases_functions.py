"""Cases of elementwise functions, losses as the last layer, normalization along other axes, and squeeze."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.export import oracles
from tests.export.op_case import OpCase, normal, positive

BELOW_1, ABOVE_1 = ("logistic",), ("cosh",)
VOLUME = ("volume",)
ANY_NUMBER = {
    **{"sign": np.sign, "sin": np.sin, "cos": np.cos, "arctan": np.arctan, "sinh": np.sinh, "cosh": np.cosh},
    **{"arcsinh": np.arcsinh, "cbrt": np.cbrt, "expm1": np.expm1, "degrees": np.degrees, "radians": np.radians},
    **{"fix": np.fix, "trunc": np.trunc},
    **{"round": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5), "rint": lambda x: np.ceil(x - 0.5)},
    "logical_not": lambda x: (x == 0).astype(np.float32),
}
SMALL_NUMBERS = {
    **{"tan": np.tan, "arcsin": np.arcsin, "arccos": np.arccos, "arctanh": np.arctanh, "log1p": np.log1p},
    **{"log2": np.log2, "log10": np.log10, "rsqrt": lambda x: x**-0.5, "rcbrt": lambda x: 1 / np.cbrt(x)},
}


def _smooth(x: np.ndarray, sigma: float) -> np.ndarray:
    return np.where(np.abs(x) < 1 / sigma**2, 0.5 * (sigma * x) ** 2, np.abs(x) - 0.5 / sigma**2)


def _prelu(x: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, x * gamma.reshape(-1, *[1] * (x.ndim - 2)))


def _batch_norm(x: np.ndarray, *params: np.ndarray, axis: int) -> np.ndarray:
    return oracles.batch_norm(x.swapaxes(1, axis), *params, fix_gamma=False).swapaxes(1, axis)


def _group_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    return oracles.instance_norm(x.reshape(len(x), len(gamma), -1), gamma, beta, eps).reshape(x.shape)


def _statistics(channels: int) -> dict[str, np.ndarray]:
    params = {"gamma": positive(channels), "beta": normal(channels), "moving_mean": normal(channels)}
    return params | {"moving_var": positive(channels)}


LOSS_CASES = [
    OpCase("LinearRegressionOutput", "rows", lambda x: x, {"grad_scale": "2"}, sources=("flat",)),
    OpCase("MAERegressionOutput", "images", lambda x: x),
    OpCase("LogisticRegressionOutput", "images", lambda x: 1 / (1 + np.exp(-x)), {"grad_scale": "2"}),
    OpCase(
        "SVMOutput",
        "rows",
        lambda x: x,
        {"margin": "2", "regularization_coefficient": "0.5", "use_linear": "True"},
        sources=("flat",),
    ),
    OpCase("MakeLoss", "defaults", lambda x: x, {"grad_scale": "2", "valid_thresh": "0.5", "normalization": "batch"}),
    OpCase("make_loss", "defaults", lambda x: x),
]
SOFTMAX_CASES = [
    OpCase("SoftmaxActivation", "defaults: the last axis", partial(oracles.softmax, axis=-1)),
    OpCase("SoftmaxActivation", "rows", partial(oracles.softmax, axis=1), {"mode": "instance"}, sources=("flat",)),
    OpCase("SoftmaxActivation", "channels", partial(oracles.softmax, axis=1), {"mode": "channel"}, sources=VOLUME),
    OpCase("softmin", "defaults", lambda x: oracles.softmax(-x, axis=-1)),
    OpCase(
        "softmin",
        "set",
        lambda x: oracles.softmax(-x / 0.5, axis=1),
        {"axis": "1", "temperature": "0.5", "dtype": "None"},
    ),
]
NORM_CASES = [
    *(
        OpCase(
            "BatchNorm",
            f"axis {axis}",
            partial(_batch_norm, axis=axis),
            {"axis": str(axis), "fix_gamma": "False", "output_mean_var": "True"},
            _statistics(channels),
        )
        for axis, channels in ((-1, 7), (2, 6))
    ),
    OpCase(
        "BatchNorm",
        "three axes",
        partial(oracles.batch_norm, fix_gamma=False),
        {"fix_gamma": "False"},
        _statistics(2),
        VOLUME,
    ),
    OpCase("GroupNorm", "defaults: one group", _group_norm, params={"gamma": positive(1), "beta": normal(1)}),
    OpCase(
        "GroupNorm",
        "set",
        partial(_group_norm, eps=0.5),
        {"num_groups": "2", "eps": "0.5", "output_mean_var": "True"},
        {"gamma": positive(2), "beta": normal(2)},
    ),
    OpCase(
        "GroupNorm", "three axes", _group_norm, {"num_groups": "2"}, {"gamma": positive(2), "beta": normal(2)}, VOLUME
    ),
    OpCase(
        "LayerNorm",
        "with mean and deviation",
        oracles.layer_norm,
        {"output_mean_var": "True"},
        {"gamma": positive(7), "beta": normal(7)},
    ),
]
FUNCTION_CASES = [
    *LOSS_CASES,
    *SOFTMAX_CASES,
    *NORM_CASES,
    *(OpCase(op, "defaults", oracle) for op, oracle in ANY_NUMBER.items()),
    *(OpCase(op, "0 to 1", oracle, sources=BELOW_1) for op, oracle in SMALL_NUMBERS.items()),
    OpCase("arccosh", "from 1", np.arccosh, sources=ABOVE_1),
    OpCase("log1p", "from 1", np.log1p, sources=ABOVE_1),
    OpCase("smooth_l1", "defaults", partial(_smooth, sigma=1.0)),
    OpCase("smooth_l1", "set", partial(_smooth, sigma=1.5), {"scalar": "1.5", "is_int": "False"}),
    OpCase("_mod_scalar", "defaults: 1", lambda x: x, sources=BELOW_1),
    OpCase("_mod_scalar", "negative", lambda x: x - 2, {"scalar": "-2", "is_int": "True"}, sources=BELOW_1),
    OpCase("_rpower_scalar", "defaults: 1", np.ones_like),
    OpCase("_rpower_scalar", "set", lambda x: 0.7**x, {"scalar": "0.7", "is_int": "False"}),
    OpCase("LeakyReLU", "prelu of rows", _prelu, {"act_type": "prelu"}, {"gamma": positive(168)}, ("flat",)),
    OpCase("LeakyReLU", "prelu, one axis", _prelu, {"act_type": "prelu"}, {"gamma": positive(4)}, ("sequence",)),
    OpCase("LeakyReLU", "prelu, three axes", _prelu, {"act_type": "prelu"}, {"gamma": positive(2)}, VOLUME),
    OpCase("squeeze", "all", lambda x: x, sources=("peak",)),
    OpCase("squeeze", "nothing", lambda x: x, {"axis": "()"}, sources=("peak",)),
]
