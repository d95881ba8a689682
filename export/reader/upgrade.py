"""Read symbols of older MXNet versions as MXNet 1.9.1 reads them (``src/nnvm/legacy_json_util.cc``)."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from export.reader.symbol import SymbolNode

# Other names under which MXNet 1.9.1 has an operator; tests/export/reader/test_upgrade_mxnet.py verifies them.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **{"ElementWiseSum": "add_n", "Softmax": "SoftmaxOutput", "identity": "_copy", "stop_gradient": "BlockGrad"},
        **{"_Plus": "elemwise_add", "_plus": "elemwise_add", "_add": "elemwise_add"},
        **{"_Minus": "elemwise_sub", "_minus": "elemwise_sub", "_sub": "elemwise_sub"},
        **{"_Mul": "elemwise_mul", "_mul": "elemwise_mul", "_Div": "elemwise_div", "_div": "elemwise_div"},
        **{"_Maximum": "_maximum", "_Minimum": "_minimum", "_Power": "_power"},
        **{"_PlusScalar": "_plus_scalar", "_MinusScalar": "_minus_scalar", "_RMinusScalar": "_rminus_scalar"},
        **{"_MulScalar": "_mul_scalar", "_DivScalar": "_div_scalar", "_RDivScalar": "_rdiv_scalar"},
        **{"_MaximumScalar": "_maximum_scalar", "_MinimumScalar": "_minimum_scalar", "_PowerScalar": "_power_scalar"},
        **{"_RPowerScalar": "_rpower_scalar"},
        **{"_Equal": "_equal", "_Not_Equal": "_not_equal", "_EqualScalar": "_equal_scalar"},
        **{"_NotEqualScalar": "_not_equal_scalar", "_Mod": "_mod", "_ModScalar": "_mod_scalar"},
        **{"_RModScalar": "_rmod_scalar", "_contrib_box_non_maximum_suppression": "_contrib_box_nms"},
        **{f"_{name}": f"_{name.lower()}" for name in ("Greater", "Greater_Equal", "Lesser", "Lesser_Equal")},
        **{f"_Logical{name}Scalar": f"_logical_{name.lower()}_scalar" for name in ("And", "Or", "Xor")},
        **{f"_Logical_{name}": f"_logical_{name.lower()}" for name in ("And", "Or", "Xor")},
        **{f"_{name}Scalar": f"_{name.lower()}_scalar" for name in ("Greater", "Lesser")},
        **{f"_{name}EqualScalar": f"_{name.lower()}_equal_scalar" for name in ("Greater", "Lesser")},
        **{"broadcast_plus": "broadcast_add", "broadcast_minus": "broadcast_sub"},
        **{"max_axis": "max", "min_axis": "min", "sum_axis": "sum"},
        **{"cast": "Cast", "concat": "Concat", "crop": "slice", "flatten": "Flatten", "pad": "Pad"},
        **{"flip": "reverse", "reshape": "Reshape", "split": "SliceChannel", "swapaxes": "SwapAxis"},
        **{"_npi_cast": "Cast", "_npi_clip": "clip", "_npi_expand_dims": "expand_dims", "_npi_slice": "slice"},
        **{"_np_amax": "_np_max", "_np_amin": "_np_min", "_np_product": "_np_prod", "cumsum": "_np_cumsum"},
        **{"_npi_reshape": "_npx_reshape", "_npi_split": "_split_v2"},
        **{"_npi_maximum": "broadcast_maximum", "_npi_minimum": "broadcast_minimum", "_npi_swapaxes": "SwapAxis"},
        **{"_npi_maximum_scalar": "_maximum_scalar", "_npi_minimum_scalar": "_minimum_scalar"},
        **{"_npx_activation": "Activation", "_npx_batch_dot": "batch_dot", "_npx_batch_flatten": "Flatten"},
        **{"_npx_batch_norm": "BatchNorm", "_npx_cast": "Cast", "_npx_convolution": "Convolution"},
        **{"_npx_deconvolution": "Deconvolution", "_npx_dropout": "Dropout", "_npx_erf": "erf"},
        **{"_npx_fully_connected": "FullyConnected", "_npx_layer_norm": "LayerNorm", "_npx_leaky_relu": "LeakyReLU"},
        **{"_npx_log_softmax": "log_softmax", "_npx_pooling": "Pooling", "_npx_reshape_like": "reshape_like"},
        **{"_npx_slice": "slice", "_npx_smooth_l1": "smooth_l1", "_npx_softmax": "softmax"},
        **{"_np_repeat": "repeat", "_npi_gather_nd": "gather_nd", "_npi_tile": "tile", "_npx_gather_nd": "gather_nd"},
        **{"_npx_shape_array": "shape_array", "_npx_topk": "topk", "_npx_roi_pooling": "ROIPooling"},
        **{"_sparse_where": "where"},
        **{"broadcast_axes": "broadcast_axis", "choose_element_0index": "pick", "linalg_gemm2": "_linalg_gemm2"},
        **{"_npi_argsort": "argsort", "_npi_full": "_full", "_npi_sort": "sort", "_npi_take": "take"},
        **{"_npi_rnn_param_concat": "_rnn_param_concat", "_npx_arange_like": "_contrib_arange_like"},
        **{"_npx_embedding": "Embedding", "_npx_one_hot": "one_hot", "_npx_pick": "pick", "_npx_rnn": "RNN"},
        **{"_npx_sequence_mask": "SequenceMask", "_sparse_Embedding": "Embedding", "_sparse_dot": "dot"},
        "_sparse_norm": "norm",
        **{"_sparse_ElementWiseSum": "add_n", "_sparse_FullyConnected": "FullyConnected", "_sparse_add_n": "add_n"},
        **{"_sparse_broadcast_plus": "broadcast_add", "_sparse_broadcast_minus": "broadcast_sub"},
        **{"_sparse_concat": "Concat", "_sparse_stop_gradient": "BlockGrad"},
        **{
            f"_sparse_{name}": name
            for name in (
                *("abs", "broadcast_add", "broadcast_div", "broadcast_mul", "broadcast_sub", "ceil", "clip"),
                *("elemwise_add", "elemwise_div", "elemwise_mul", "elemwise_sub", "exp", "floor", "log", "mean"),
                *("negative", "relu", "sigmoid", "slice", "sqrt", "square", "sum", "tanh", "zeros_like"),
                *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cos", "cosh", "sin", "sinh", "tan"),
                *("cbrt", "degrees", "expm1", "log10", "log1p", "log2", "radians", "rsqrt", "sign"),
                *("fix", "rint", "round", "trunc", "make_loss"),
                *("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput"),
            )
        },
    }
)
LEGACY_VERSION = 800  # of a file that does not say, which is what MXNet assumes
EXPLICIT_STATISTICS_VERSION = 900  # from 0.9 on, batch norm's statistics are inputs in the file
STATISTICS = ("moving_mean", "moving_var")


def version_of(document: Mapping[str, Any]) -> int | None:
    """Return the MXNet version that wrote a symbol, as ``major * 10000 + minor * 100 + patch``; None if unknown."""
    attrs = document.get("attrs")
    entry = attrs.get("mxnet_version") if isinstance(attrs, dict) else None
    version = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
    return version if type(version) is int else None


def implied_statistics(nodes: Sequence[SymbolNode], version: int | None) -> dict[int, tuple[str, ...]]:
    """Return the names of the statistics that batch norms before MXNet 0.9 have implicitly, by node."""
    if (LEGACY_VERSION if version is None else version) >= EXPLICIT_STATISTICS_VERSION:
        return {}
    return {
        index: tuple(f"{node.name}_{name}" for name in STATISTICS)
        for index, node in enumerate(nodes)
        if node.op == "BatchNorm" and len(node.inputs) == 3  # data, gamma, beta
    }


def with_variables(
    nodes: Sequence[SymbolNode], added: Mapping[int, tuple[str, ...]]
) -> tuple[list[SymbolNode], list[int]]:
    """Add variables as last inputs of nodes. Return all nodes in topological order, and the new index of each."""
    result: list[SymbolNode] = []
    moved: list[int] = []
    for index, node in enumerate(nodes):
        names = added.get(index, ())
        variables = [replace(node, op="null", name=name, attrs={}, inputs=()) for name in names]
        inputs = [replace(entry, node=moved[entry.node]) for entry in node.inputs]
        inputs += [replace(node.inputs[0], node=len(result) + offset, output=0) for offset in range(len(names))]
        result += [*variables, replace(node, inputs=tuple(inputs))]
        moved.append(len(result) - 1)
    return result, moved
