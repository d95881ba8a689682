"""Cases for every registered operator: attributes as in a symbol, and the oracle's answer. Defaults come first."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.export import oracles
from tests.export.op_case import OpCase, normal, positive
from tests.export.op_cases_functions import FUNCTION_CASES
from tests.export.op_cases_numpy import NUMPY_CASES
from tests.export.op_cases_windows import WINDOW_CASES

if TYPE_CHECKING:
    from collections.abc import Callable


def _same(x: np.ndarray) -> np.ndarray:
    return x


def _with(oracle: Callable[[np.ndarray, float], np.ndarray], number: float, x: np.ndarray) -> np.ndarray:
    return oracle(x, number)


def _like(resize: Callable[..., np.ndarray], x: np.ndarray, other: np.ndarray) -> np.ndarray:
    return resize(x, *other.shape[2:], corners=False)


def _with_axis(oracle: Callable[..., Any], axis: int, x: np.ndarray) -> np.ndarray:
    actual: np.ndarray = oracle(x, axis=axis, keepdims=True)
    return actual


def _batch_norm_params() -> dict[str, np.ndarray]:
    return {
        "gamma": positive(4),
        "beta": normal(4),
        "moving_mean": normal(4),
        "moving_var": positive(4) / 1000,  # small: the default eps is 1e-3
    }


def _weights(*shape: int, bias: bool = True) -> dict[str, np.ndarray]:
    return {"weight": normal(*shape)} | ({"bias": normal(shape[0])} if bias else {})


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh": np.tanh,
}
ARITHMETIC = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
BELOW_1 = ("logistic",)
WITH_NUMBERS = {
    "plus": lambda x, ones: x + ones,
    "minus": lambda x, ones: x - ones,
    "rminus": lambda x, ones: ones - x,
    "mul": lambda x, ones: x * ones,
    "div": lambda x, ones: x / ones,
    "rdiv": lambda x, ones: ones / x,
    "power": lambda x, ones: x**ones,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
FUNCTIONS = {
    **{"abs": np.abs, "ceil": np.ceil, "erf": np.vectorize(math.erf), "exp": np.exp, "floor": np.floor},
    **{"negative": np.negative, "square": np.square},
}
POSITIVE_FUNCTIONS = {"log": np.log, "reciprocal": np.reciprocal, "sqrt": np.sqrt}
EXTREMES = {"maximum": np.maximum, "minimum": np.minimum}
SMALL_STEPS = {"kernel": "(3, 2)", "stride": "(2, 1)", "pad": "(1, 0)"}

CASTING = [
    OpCase("Cast", "to half", lambda x: x.astype(np.float16), {"dtype": "float16"}),
    OpCase("Cast", "nothing", _same, {"dtype": "float32"}),
    OpCase("Cast", "and back", _same, {"dtype": "float32"}, sources=("half",)),
    OpCase("amp_cast", "to half", lambda x: x.astype(np.float16), {"dtype": "float16"}),
    OpCase("amp_multicast", "to the widest", lambda x, _: x, {"num_outputs": "2"}, sources=("half", "data")),
    OpCase(
        "amp_multicast",
        "to the narrowest",
        lambda x, _: x.astype(np.float16),
        {"num_outputs": "2", "cast_narrow": "True"},
        sources=("data", "half"),
    ),
]
RESHAPING = [
    OpCase("Reshape", "plain", _same, {"shape": "(-1, 4, 42)"}),
    OpCase("Reshape", "to rows", _same, {"shape": "(0, -1)"}),
    OpCase("Reshape", "the rest", _same, {"shape": "(0, -4, 2, 2, -2)"}),
    OpCase("Reshape", "split and merged", _same, {"shape": "(0, -4, 2, -1, -3)"}),
    OpCase("Reshape", "split the other way", _same, {"shape": "[0, -4, -1, 2, 0, 7]", "reverse": "0"}),
    OpCase("Reshape", "from the right", _same, {"shape": "(-1, 2, 0, 0)", "reverse": "True"}, sources=("halved",)),
    OpCase("Reshape", "nothing", _same, {"shape": "(0, 0, 0, 0)", "keep_highest": "False", "target_shape": "()"}),
    OpCase("expand_dims", "in front", _same, {"axis": "1"}),
    OpCase("expand_dims", "behind", _same, {"axis": "-1"}),
    OpCase("squeeze", "two", _same, {"axis": "(2, -1)"}, sources=("peak",)),
    OpCase("SwapAxis", "two", lambda x: x.swapaxes(1, 3), {"dim1": "1", "dim2": "-1"}),
    OpCase("SwapAxis", "one", _same, {"dim1": "2", "dim2": "2"}),
    OpCase("transpose", "set", lambda x: x.transpose(0, 2, 3, 1), {"axes": "(0, 2, 3, 1)"}),
    OpCase("sum", "one", lambda x: x.sum(1), {"axis": "1"}),
    OpCase("sum", "others", lambda x: x.sum((1, 3)), {"axis": "(0, 2)", "exclude": "True", "keepdims": "1"}),
    *(
        OpCase(kind, "one", partial(_with_axis, oracle, -1), {"axis": "-1", "keepdims": "True"})
        for kind, oracle in {"mean": np.mean, "max": np.max, "min": np.min}.items()
    ),
    OpCase("max", "the others", lambda x: x.max((1, 2)), {"axis": "(0, 3)", "exclude": "True"}),
    OpCase("reshape_like", "all", lambda x, y: x.reshape(y.shape), sources=("data", "halved")),
    OpCase(
        "reshape_like",
        "a part",
        lambda x, y: x.reshape(len(x), 4, 6, 7),
        {"lhs_begin": "1", "lhs_end": "3", "rhs_begin": "-3", "rhs_end": "-1"},
        sources=("halved", "logistic"),
    ),
    OpCase(
        "reshape_like",
        "to the end",
        lambda x, y: x.reshape(len(x), 2, 12, 7),
        {"lhs_begin": "1", "lhs_end": "None", "rhs_begin": "1", "rhs_end": "None"},
        sources=("flat", "halved"),
    ),
    OpCase("mean", "two", lambda x: x.mean((2, 3)), {"axis": "(-1, 2)", "keepdims": "True"}),
]
SLICING = [
    OpCase("slice_axis", "all of it", _same, {"axis": "0", "begin": "0", "end": "None"}),
    OpCase("slice_axis", "of channels", lambda x: x[:, 1:3], {"axis": "1", "begin": "1", "end": "3"}),
    OpCase("slice_axis", "from the end", lambda x: x[..., -5:-1], {"axis": "-1", "begin": "-5", "end": "-1"}),
    OpCase("slice_axis", "to the end", lambda x: x[:, :, 4:], {"axis": "2", "begin": "4", "end": "None"}),
    OpCase(
        "slice", "of all", lambda x: x[:, 1:, 1:-1], {"begin": "(0, 1, 1)", "end": "(None, None, -1)", "step": "()"}
    ),
    OpCase(
        "slice",
        "backwards",
        lambda x: x[:, ::2, ::-1, 5:1:-2],
        {"begin": "(0, None, None, 5)", "end": "(None, None, None, 1)", "step": "(1, 2, -1, -2)"},
    ),
    OpCase("slice_like", "of all", lambda x, y: x[:, :, :1, :1], sources=("data", "peak")),
    OpCase("slice_like", "of one", lambda x, y: x[..., :1], {"axes": "(-1,)"}, sources=("data", "tall")),
    OpCase("SliceChannel", "the first of two", lambda x: x[:, :2], {"num_outputs": "2"}),
    OpCase("SliceChannel", "squeezed", lambda x: x[..., 0], {"num_outputs": "7", "axis": "-1", "squeeze_axis": "1"}),
    OpCase("SliceChannel", "one", _same, {"num_outputs": "1", "axis": "2"}),
    OpCase("slice", "nothing cut", _same, {"begin": "(0, 0)", "end": "(None, 4)"}),
]
NUMBERS = [
    *(OpCase(f"_{kind}_scalar", "defaults: 1", partial(_with, oracle, 1.0)) for kind, oracle in WITH_NUMBERS.items()),
    *(
        OpCase(
            f"_{kind}_scalar",
            "set",
            partial(_with, oracle, 0.7),
            {"scalar": "0.7", "is_int": "False"},
            sources=("logistic",),
        )
        for kind, oracle in WITH_NUMBERS.items()
    ),
    *(OpCase(kind, "defaults", oracle) for kind, oracle in FUNCTIONS.items()),
    *(OpCase(kind, "defaults", oracle, sources=BELOW_1) for kind, oracle in POSITIVE_FUNCTIONS.items()),
    OpCase("hard_sigmoid", "defaults", lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    OpCase("hard_sigmoid", "set", lambda x: np.clip(x - 0.3, 0, 1), {"alpha": "1", "beta": "-0.3"}),
    OpCase("ones_like", "defaults", np.ones_like),
    OpCase("zeros_like", "defaults", np.zeros_like),
    OpCase("clip", "set", lambda x: x.clip(-0.5, 1), {"a_min": "-0.5", "a_max": "1"}),
    OpCase("softmax", "defaults: the last axis", partial(oracles.softmax, axis=-1)),
    OpCase(
        "softmax",
        "set",
        lambda x: oracles.softmax(x / 0.5, axis=1),
        {"axis": "1", "temperature": "0.5", "dtype": "None", "use_length": "False"},
    ),
    OpCase("SoftmaxOutput", "defaults: the channels", partial(oracles.softmax, axis=1), sources=("flat",)),
    OpCase(
        "SoftmaxOutput",
        "of every pixel",
        partial(oracles.softmax, axis=1),
        {"multi_output": "True", "grad_scale": "2", "use_ignore": "True", "ignore_label": "255"},
    ),
    OpCase("SoftmaxOutput", "of every row", partial(oracles.softmax, axis=-1), {"preserve_shape": "1"}),
    OpCase("log_softmax", "defaults", lambda x: np.log(oracles.softmax(x, axis=-1))),
    OpCase("LeakyReLU", "defaults: slope 0.25", lambda x: np.where(x > 0, x, x * 0.25)),
    OpCase(
        "LeakyReLU",
        "slope",
        lambda x: np.where(x > 0, x, x * 0.1),
        {"act_type": "leaky", "slope": "0.1", "lower_bound": "0.2", "upper_bound": "0.3"},
    ),
    OpCase(
        "LeakyReLU",
        "prelu",
        lambda x, gamma: np.where(x > 0, x, x * gamma[:, None, None]),
        {"act_type": "prelu"},
        {"gamma": positive(4)},
    ),
    OpCase(
        "LeakyReLU",
        "prelu, one slope for all channels",
        lambda x, gamma: np.where(x > 0, x, x * gamma),
        {"act_type": "prelu"},
        {"gamma": positive(1)},
    ),
    OpCase("LeakyReLU", "elu", lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)), {"act_type": "elu", "slope": "0.7"}),
    OpCase("LeakyReLU", "selu", oracles.selu, {"act_type": "selu"}),
    OpCase("LeakyReLU", "gelu", oracles.gelu, {"act_type": "gelu"}),
]
IMAGES = [
    OpCase(
        "_contrib_AdaptiveAvgPooling2D", "defaults: all of it", partial(oracles.adaptive_average, rows=1, columns=1)
    ),
    OpCase(
        "_contrib_AdaptiveAvgPooling2D",
        "equal windows",
        partial(oracles.adaptive_average, rows=2, columns=7),
        {"output_size": "(2, 7)"},
    ),
    OpCase(
        "_contrib_AdaptiveAvgPooling2D",
        "unequal windows",
        partial(oracles.adaptive_average, rows=4, columns=3),
        {"output_size": "(4, 3)"},
    ),
    OpCase(
        "_contrib_AdaptiveAvgPooling2D",
        "larger than the image",
        partial(oracles.adaptive_average, rows=8, columns=8),
        {"output_size": "8"},
    ),
    OpCase(
        "UpSampling",
        "nearest",
        lambda x: x.repeat(3, axis=2).repeat(3, axis=3),
        {"scale": "3", "sample_type": "nearest", "num_args": "1", "workspace": "512", "multi_input_mode": "concat"},
    ),
    OpCase(
        "_contrib_BilinearResize2D",
        "corners",
        partial(oracles.bilinear_resize, height=9, width=4, corners=True),
        {"height": "9", "width": "4"},
    ),
    OpCase(
        "_contrib_BilinearResize2D",
        "edges",
        partial(oracles.bilinear_resize, height=13, width=5, corners=False),
        {"height": "13", "width": "5", "align_corners": "False", "mode": "size"},
    ),
    OpCase(
        "_contrib_BilinearResize2D",
        "by factors",
        partial(oracles.bilinear_resize, height=10, width=10, corners=True),
        {"scale_height": "1.7", "scale_width": "1.5"},
    ),
    OpCase(
        "_contrib_BilinearResize2D",
        "like another",
        partial(_like, oracles.bilinear_resize),
        {"mode": "like", "height": "9", "align_corners": "False"},
        sources=("data", "square"),
    ),
    OpCase("_contrib_BilinearResize2D", "to one pixel", lambda x: x[:, :, :1, :1], {"height": "1", "width": "1"}),
    OpCase("_contrib_BilinearResize2D", "the same size", _same, {"height": "6", "width": "7"}),
    OpCase(
        "Pad",
        "zeros",
        lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 3))),
        {"mode": "constant", "pad_width": "(0, 0, 0, 0, 1, 2, 0, 3)"},
    ),
    OpCase(
        "Pad",
        "a number",
        lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 3)), constant_values=-2.5),
        {"mode": "constant", "pad_width": "(0, 0, 0, 0, 1, 2, 0, 3)", "constant_value": "-2.5"},
    ),
    *(
        OpCase(
            "Pad",
            mode,
            partial(np.pad, pad_width=((0, 0), (0, 0), (2, 1), (3, 0)), mode=mode),
            {"mode": mode, "pad_width": "(0, 0, 0, 0, 2, 1, 3, 0)"},
        )
        for mode in ("edge", "reflect")
    ),
]

CASES = [
    OpCase(
        "Convolution",
        "defaults",
        oracles.convolution,
        {"kernel": "(3, 2)", "num_filter": "5"},
        _weights(5, 4, 3, 2),
    ),
    OpCase(
        "Convolution",
        "everything set",
        partial(oracles.convolution, stride=(2, 1), pad=(1, 2), dilate=(2, 1), groups=2),
        {
            **{"kernel": "[3,2]", "stride": "(2, 1)", "pad": "(1, 2)", "dilate": "(2L, 1L)"},
            **{"num_filter": "6", "num_group": "2", "no_bias": "1", "layout": "NCHW"},
            **{"workspace": "512", "cudnn_tune": "fastest", "cudnn_off": "True", "__lr_mult__": "2"},
        },
        _weights(6, 2, 3, 2, bias=False),
    ),
    OpCase(
        "Deconvolution",
        "defaults: no bias",
        oracles.deconvolution,
        {"kernel": "(3, 2)", "num_filter": "5"},
        _weights(4, 5, 3, 2, bias=False),
    ),
    OpCase(
        "Deconvolution",
        "everything set",
        partial(oracles.deconvolution, stride=(2, 3), pad=(1, 2), dilate=(2, 1), adjust=(1, 2), groups=2),
        {
            **{"kernel": "(4, 4)", "stride": "(2, 3)", "pad": "(1, 2)", "dilate": "(2, 1)", "adj": "(1, 2)"},
            **{"num_filter": "6", "num_group": "2", "no_bias": "False", "layout": "NCHW", "target_shape": "()"},
            **{"workspace": "512", "cudnn_tune": "off", "cudnn_off": "0"},
        },
        {"weight": normal(4, 3, 4, 4), "bias": normal(6)},
    ),
    OpCase(
        "FullyConnected",
        "defaults",
        oracles.fully_connected,
        {"num_hidden": "3"},
        _weights(3, 4 * 6 * 7),
    ),
    OpCase(
        "FullyConnected",
        "of rows, no bias",
        oracles.fully_connected,
        {"num_hidden": "3", "no_bias": "True"},
        _weights(3, 4 * 6 * 7, bias=False),
        ("flat",),
    ),
    OpCase(
        "FullyConnected",
        "flatten=False",
        partial(oracles.fully_connected, flatten=False),
        {"num_hidden": "3", "flatten": "False"},
        _weights(3, 7),
    ),
    OpCase(
        "FullyConnected",
        "flatten=False, no bias",
        partial(oracles.fully_connected, flatten=False),
        {"num_hidden": "3", "flatten": "0", "no_bias": "true"},
        _weights(3, 7, bias=False),
    ),
    OpCase("BatchNorm", "defaults: gamma is 1", oracles.batch_norm, {}, _batch_norm_params()),
    OpCase(
        "BatchNorm",
        "everything set",
        partial(oracles.batch_norm, eps=1e-5, fix_gamma=False),
        {"eps": "1e-05", "fix_gamma": "False", "axis": "1", "momentum": "0.9", "use_global_stats": "True"},
        _batch_norm_params(),
    ),
    OpCase("LRN", "defaults: knorm is 2", partial(oracles.lrn, size=3), {"nsize": "3"}),
    OpCase(
        "LRN",
        "wider than the channels",
        partial(oracles.lrn, size=9, alpha=0.5, beta=0.3, knorm=1.5),
        {"nsize": "9", "alpha": "0.5", "beta": "0.3", "knorm": "1.5"},
    ),
    OpCase("LRN", "strong", partial(oracles.lrn, size=5, alpha=2, knorm=1), {"nsize": "5", "alpha": "2", "knorm": "1"}),
    OpCase("Pooling", "defaults", partial(oracles.pooling, kernel=(3, 2)), {"kernel": "(3, 2)"}),
    OpCase(
        "Pooling",
        "average, defaults",
        partial(oracles.pooling, kernel=(3, 2), stride=(2, 1), pad=(1, 0), kind="avg"),
        {"pool_type": "avg"} | SMALL_STEPS,
    ),
    OpCase(
        "Pooling",
        "full maximum",
        partial(oracles.pooling, kernel=(3, 3), stride=(2, 2), pad=(1, 0), full=True),
        {"kernel": "(3, 3)", "stride": "(2, 2)", "pad": "(1, 0)", "pooling_convention": "full"},
    ),
    OpCase(
        "Pooling",
        "full average",
        partial(oracles.pooling, kernel=(3, 3), stride=(2, 3), pad=(1, 1), kind="avg", full=True),
        {"kernel": "(3, 3)", "stride": "(2, 3)", "pad": "(1, 1)", "pool_type": "avg", "pooling_convention": "full"},
    ),
    OpCase(
        "Pooling",
        "average of what is there",
        partial(
            oracles.pooling, kernel=(3, 3), stride=(2, 3), pad=(1, 1), kind="avg", full=True, count_include_pad=False
        ),
        {"kernel": "(3, 3)", "stride": "(2, 3)", "pad": "(1, 1)", "pool_type": "avg", "pooling_convention": "full"}
        | {"count_include_pad": "False", "layout": "NCHW", "cudnn_off": "False"},
    ),
    OpCase("Pooling", "global", partial(oracles.global_pooling, kind="max"), {"global_pool": "True"}),
    OpCase(
        "Pooling",
        "global average, kernel ignored",
        partial(oracles.global_pooling, kind="avg"),
        {"global_pool": "True", "pool_type": "avg", "kernel": "(2, 2)", "stride": "(2, 2)", "pad": "(1, 1)"},
    ),
    OpCase("Concat", "defaults", lambda *xs: np.concatenate(xs, 1), {"num_args": "2"}, sources=("data", "logistic")),
    OpCase("Concat", "one", _same, {"num_args": "1"}),
    OpCase(
        "Concat", "width", lambda *xs: np.concatenate(xs, 3), {"num_args": "2", "dim": "-1"}, sources=("tall", "data")
    ),
    OpCase("L2Normalization", "defaults", oracles.l2_normalization),
    OpCase(
        "L2Normalization",
        "of rows",
        partial(oracles.l2_normalization, eps=0.5),
        {"eps": "0.5", "mode": "instance"},
        sources=("flat",),
    ),
    OpCase("L2Normalization", "of channels", partial(oracles.l2_normalization_over, axes=(1,)), {"mode": "channel"}),
    OpCase("L2Normalization", "of positions", partial(oracles.l2_normalization_over, axes=(2, 3)), {"mode": "spatial"}),
    OpCase("Flatten", "defaults", lambda x: x.reshape(len(x), -1)),
    OpCase("Dropout", "defaults", _same),
    OpCase("Dropout", "everything set", _same, {"p": "0.4", "axes": "()", "cudnn_off": "False", "mode": "training"}),
    OpCase("_copy", "defaults", _same),
    OpCase("BlockGrad", "defaults", _same),
    OpCase("Activation", "softrelu", lambda x: np.log1p(np.exp(x)), {"act_type": "softrelu"}),
    *(OpCase("Activation", kind, oracle, {"act_type": kind}) for kind, oracle in ACTIVATIONS.items()),
    *(OpCase(kind, "defaults", oracle) for kind, oracle in ACTIVATIONS.items()),
    *(
        OpCase(f"elemwise_{name}", "defaults", oracle, sources=("data", "logistic"))
        for name, oracle in ARITHMETIC.items()
    ),
    *(OpCase(f"broadcast_{name}", "defaults", oracle, sources=("tall", "peak")) for name, oracle in ARITHMETIC.items()),
    *(OpCase(f"broadcast_{name}", "defaults", oracle, sources=("tall", "peak")) for name, oracle in EXTREMES.items()),
    *(OpCase(f"_{name}", "defaults", oracle, sources=("data", "logistic")) for name, oracle in EXTREMES.items()),
    OpCase("broadcast_power", "defaults", np.power, sources=("logistic", "data")),
    OpCase("_power", "defaults", np.power, sources=("logistic", "data")),
    OpCase("broadcast_add", "both ways", np.add, sources=("peak", "data")),
    OpCase("broadcast_mul", "a parameter", np.multiply, params={"scale": normal(1, 4, 1, 1)}),
    OpCase("broadcast_sub", "a parameter of fewer axes", np.subtract, params={"mean": normal(6, 1)}),
    OpCase(
        "broadcast_add", "a parameter that is larger", np.add, params={"grid": normal(1, 4, 1, 7)}, sources=("tall",)
    ),
    OpCase("add_n", "three", lambda *xs: sum(xs), {"num_args": "3"}, sources=("data", "logistic", "data")),
    OpCase("add_n", "one", _same, {"num_args": "1"}),
    OpCase("broadcast_like", "all", lambda x, y: np.broadcast_to(x, y.shape), sources=("peak", "data")),
    OpCase("broadcast_like", "nothing", lambda x, y: x, sources=("data", "logistic")),
    OpCase("batch_dot", "defaults", np.matmul, sources=("square", "square")),
    OpCase(
        "batch_dot",
        "both transposed",
        lambda x, y: x.swapaxes(2, 3) @ y.swapaxes(2, 3),
        {"transpose_a": "True", "transpose_b": "1", "forward_stype": "None"},
        sources=("square", "wide"),
    ),
    OpCase(
        "batch_dot",
        "of more axes",
        lambda x, y: x @ y.swapaxes(2, 3),
        {"transpose_b": "True"},
        sources=("data", "logistic"),
    ),
    OpCase("InstanceNorm", "defaults", oracles.instance_norm, params={"gamma": positive(4), "beta": normal(4)}),
    OpCase(
        "InstanceNorm",
        "eps",
        partial(oracles.instance_norm, eps=0.5),
        {"eps": "0.5"},
        {"gamma": positive(4), "beta": normal(4)},
    ),
    OpCase("LayerNorm", "defaults", oracles.layer_norm, params={"gamma": positive(7), "beta": normal(7)}),
    OpCase(
        "LayerNorm",
        "of channels",
        partial(oracles.layer_norm, axis=1, eps=0.5),
        {"axis": "1", "eps": "0.5", "output_mean_var": "False"},
        {"gamma": positive(4), "beta": normal(4)},
    ),
    OpCase("depth_to_space", "set", oracles.depth_to_space, {"block_size": "2"}),
    OpCase("space_to_depth", "set", oracles.space_to_depth, {"block_size": "2"}, sources=("even",)),
    *CASTING,
    *RESHAPING,
    *SLICING,
    *NUMBERS,
    *IMAGES,
    *WINDOW_CASES,
    *FUNCTION_CASES,
    *NUMPY_CASES,
]
