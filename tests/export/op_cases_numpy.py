"""Cases of MXNet's NumPy operators; the oracle is NumPy's function of that name, in plain NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.export.op_case import OpCase, normal

if TYPE_CHECKING:
    from collections.abc import Callable

    Oracle = Callable[..., np.ndarray]

BELOW_1 = ("logistic",)
TWO = {"num_args": "2"}
PAIR = ("data", "logistic")
SCALARS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    **{"add": np.add, "multiply": np.multiply, "subtract": np.subtract, "true_divide": np.true_divide},
    **{"rsubtract": lambda x, n: n - x, "rtrue_divide": lambda x, n: n / x},
    **{"power": np.power, "rpower": lambda x, n: n**x},
}
COMPARISONS: dict[str, Oracle] = {
    **{"equal": np.equal, "not_equal": np.not_equal, "greater": np.greater, "greater_equal": np.greater_equal},
    **{"less": np.less, "less_equal": np.less_equal},
}


def _of_number(function: Oracle, number: float) -> Oracle:
    return lambda x: function(x, x.dtype.type(number))


ARITHMETIC = [
    *(
        OpCase(f"_npi_{name}", "broadcast", getattr(np, name), sources=("logistic", "tall"))
        for name in ("add", "subtract", "multiply", "true_divide", "power")
    ),
    OpCase("_npi_subtract", "a parameter of fewer axes", np.subtract, params={"mean": normal(6, 1)}),
    OpCase("_npi_multiply", "by truth values", np.multiply, sources=("data", "positive")),
    *(
        OpCase(f"_npi_{name}_scalar", "defaults: 1", _of_number(oracle, 1), sources=BELOW_1)
        for name, oracle in SCALARS.items()
    ),
    *(
        OpCase(
            f"_npi_{name}_scalar",
            "set",
            _of_number(oracle, 0.7),
            {"scalar": "0.7", "is_int": "False"},
            sources=BELOW_1,
        )
        for name, oracle in SCALARS.items()
    ),
]
CONDITIONS = [
    *(OpCase(f"_npi_{name}", "broadcast", oracle, sources=("tall", "data")) for name, oracle in COMPARISONS.items()),
    *(
        OpCase(f"_npi_{name}_scalar", "defaults: 1", _of_number(oracle, 1), sources=("positive",))
        for name, oracle in COMPARISONS.items()
        if name in ("equal", "not_equal")
    ),
    *(
        OpCase(f"_npi_{name}_scalar", "set", _of_number(oracle, 0.25), {"scalar": "0.25"})
        for name, oracle in COMPARISONS.items()
    ),
    OpCase("_npi_logical_not", "of truth values", np.logical_not, sources=("positive",)),
    OpCase("_npi_logical_not", "of numbers", np.logical_not, sources=("rectified",)),
    OpCase("_npi_where", "broadcast", np.where, sources=("positive", "peak", "tall")),
    OpCase("_npi_where", "numbers", lambda y, x, c: np.where(c, y, x), sources=("data", "data", "logistic")),
    OpCase("_npi_where_lscalar", "defaults: 0", lambda c, y: np.where(c, 0, y), sources=("positive", "data")),
    OpCase(
        "_npi_where_rscalar",
        "set",
        lambda c, x: np.where(c, x, x.dtype.type(-1e4)),
        {"scalar": "-1e4"},
        sources=("positive", "tall"),
    ),
    OpCase("_npi_where_scalar2", "set", lambda c: np.where(c, 2.0, -1.0), {"x": "2", "y": "-1"}, sources=("positive",)),
]
RESHAPING = [
    OpCase("_np_reshape", "plain", lambda x: x, {"newshape": "(-1, 4, 42)"}),
    OpCase("_np_reshape", "nothing", lambda x: x, {"newshape": "(-1, 4, 6, 7)", "order": "C"}),
    OpCase("_npx_reshape", "copied", lambda x: x, {"newshape": "(-2, -2, -1)"}),
    OpCase("_npx_reshape", "merged and split", lambda x: x, {"newshape": "(-2, -6, 2, -1, -5)"}),
    OpCase("_npx_reshape", "dropped", lambda x: x, {"newshape": "(-2, -4)", "reverse": "False"}),
    OpCase("_npx_reshape", "without two", lambda x: x, {"newshape": "(-2, -2, -3, -3)"}, sources=("peak",)),
    OpCase("_npx_reshape", "from the right", lambda x: x, {"newshape": "(-1, -2, -5)", "reverse": "1"}),
    OpCase("_np_moveaxis", "one", lambda x: np.moveaxis(x, 1, -1), {"source": "1", "destination": "-1"}),
    OpCase(
        "_np_moveaxis",
        "two",
        lambda x: np.moveaxis(x, (-1, 1), (1, 2)),
        {"source": "(-1, 1)", "destination": "(1, 2)"},
    ),
    OpCase("_npi_flip", "two", lambda x: x[:, ::-1, :, ::-1], {"axis": "(1, 3)"}),
    OpCase(
        "_npi_broadcast_to",
        "sizes kept",
        lambda x: np.broadcast_to(x, (len(x), 4, 3, 7)),
        {"shape": "(-2, -2, 3, 7)"},
        sources=("peak",),
    ),
    OpCase(
        "_npi_concatenate", "width", lambda *xs: np.concatenate(xs, 3), TWO | {"axis": "-1"}, sources=("tall", "data")
    ),
    OpCase("_npi_full_like", "ones", np.ones_like, {"fill_value": "1", "ctx": "cpu(0)"}),
    OpCase(
        "_npi_full_like",
        "in single",
        lambda x: np.full_like(x, -0.5, np.float32),
        {"fill_value": "-0.5", "dtype": "float32"},
    ),
    OpCase("_npi_argmax", "the first", lambda x: x.argmax(1), {"axis": "1"}, sources=("rectified",)),
    OpCase("_npi_argmin", "kept", lambda x: x.argmin(-1), {"axis": "-1", "keepdims": "True"}, sources=("rectified",)),
    OpCase(
        "_npi_pad",
        "a number",
        lambda x: np.pad(x, ((0, 0), (1, 0), (0, 2), (3, 1)), constant_values=x.dtype.type(-2.5)),
        {"pad_width": "((0, 0), (1, 0), (0, 2), (3, 1))", "constant_value": "-2.5", "mode": "constant"},
    ),
    *(
        OpCase(
            "_npi_pad",
            mode,
            lambda x, mode=mode: np.pad(x, ((0, 0), (0, 0), (2, 1), (3, 0)), mode=mode),
            {"pad_width": "[[0,0],[0,0],[2,1],[3,0]]", "mode": mode},
        )
        for mode in ("edge", "reflect")
    ),
    OpCase("_npi_hstack", "channels", lambda *xs: np.hstack(xs), TWO, sources=("data", "data")),
    OpCase("_npi_column_stack", "channels", lambda *xs: np.concatenate(xs, 1), TWO, sources=PAIR),
    OpCase("_npi_dstack", "rows", lambda *xs: np.dstack(xs), TWO, sources=("data", "data")),
    OpCase("_npi_vstack", "one", lambda x: x, {"num_args": "1"}),
    OpCase("_split_v2", "the first of two", lambda x: x[:, :2], {"sections": "2", "indices": "[]"}),
    OpCase("_split_v2", "at indices", lambda x: x[..., :3], {"indices": "[0, 3, 5]", "axis": "-1", "sections": "0"}),
    OpCase(
        "_split_v2",
        "squeezed",
        lambda x: x[..., 0],
        {"sections": "7", "axis": "3", "squeeze_axis": "1", "indices": "()"},
    ),
    OpCase("_npi_hsplit", "the first of two", lambda x: x[:, :2], {"sections": "2", "indices": "[]", "axis": "1"}),
]


def _reductions() -> list[OpCase]:
    cases = []
    for name, function in {"_np_sum": np.sum, "_np_prod": np.prod, "_np_max": np.max, "_np_min": np.min}.items():
        cases.append(_reduction(name, function, axis=1))
        cases.append(_reduction(name, function, axis=-2, keepdims=True))
    for name, function in {"_npi_mean": np.mean, "_npi_var": np.var, "_npi_std": np.std}.items():
        cases.append(_reduction(name, function, axis=(1, 3)))
        cases.append(_reduction(name, function, axis=-2, keepdims=True))
    cases += [_reduction(f"_npi_{name}", getattr(np, name), axis=(2,), ddof=1) for name in ("var", "std")]
    return cases


def _reduction(op: str, function: Oracle, **attrs: object) -> OpCase:
    texts = {name: str(value) for name, value in attrs.items()}
    return OpCase(op, str(attrs), lambda x: function(x.astype(np.float64), **attrs), texts, sources=BELOW_1)


REDUCTIONS = [
    *_reductions(),
    OpCase("_np_sum", "nothing", lambda x: x, {"axis": "()"}),
    OpCase("_npi_mean", "in single", lambda x: x.mean(1), {"axis": "1", "dtype": "float32"}),
    OpCase("_np_cumsum", "channels", lambda x: x.cumsum(1), {"axis": "1"}, sources=BELOW_1),
    OpCase("_np_cumsum", "in single", lambda x: x.cumsum(3), {"axis": "3", "dtype": "float32"}, sources=BELOW_1),
    OpCase(
        "_npi_norm",
        "of two axes",
        lambda x: np.sqrt(np.square(x).sum((2, 3))),
        {"axis": "(2, 3)", "flag": "1", "ord": "2"},
    ),
    *(
        OpCase(
            "_npi_norm",
            f"of vectors, order {order}",
            lambda x, order=order: np.linalg.norm(x, order, axis=1, keepdims=True),
            {"axis": "(1,)", "flag": "-1", "ord": str(order), "keepdims": "True"},
        )
        for order in (1, 2)
    ),
    OpCase("_npi_average", "set", lambda x: x.mean(1), {"axis": "1", "weighted": "False", "returned": "0"}),
]
PRODUCTS = [
    OpCase("_npi_matmul", "broadcast", np.matmul, sources=("data", "columns")),
    OpCase("_npi_matmul", "a parameter", np.matmul, params={"weight": normal(7, 3)}),
    OpCase("_npi_matmul", "a vector", np.matmul, params={"weight": normal(7)}),
    OpCase("_np_dot", "a parameter", np.dot, params={"weight": normal(7, 3)}),
    OpCase("_np_dot", "of three axes", np.dot, params={"weight": normal(2, 7, 3)}),
    OpCase(
        "_npi_tensordot",
        "two axes",
        lambda x, w: np.tensordot(x, w, ((1, 3), (2, 0))),
        {"a_axes_summed": "[1, -1]", "b_axes_summed": "(2, 0)"},
        {"weight": normal(7, 3, 4)},
    ),
    OpCase(
        "_npi_tensordot_int_axes",
        "the last two",
        lambda x, w: np.tensordot(x, w, 2),
        {"axes": "2"},
        {"weight": normal(6, 7, 3)},
    ),
    OpCase(
        "_npi_einsum",
        "two",
        lambda x, y: np.einsum("nchw,nchv->ncwv", x, y),
        TWO | {"subscripts": "nchw,nchv->ncwv", "optimize": "0"},
        sources=PAIR,
    ),
    OpCase(
        "_npi_einsum",
        "a parameter, without an arrow",
        lambda x, w: np.einsum("abcd,dh", x, w),
        TWO | {"subscripts": "abcd, dh"},
        {"weight": normal(7, 3)},
    ),
]
NUMPY_CASES = [*ARITHMETIC, *CONDITIONS, *RESHAPING, *REDUCTIONS, *PRODUCTS]
