"""Operators of MXNet's NumPy interface (``mx.np``, ``mx.npx``) that compute what an older operator computes.

They are separate operators in MXNet, not aliases, but have the same attributes and results.
tests/export/reader/test_numpy_names_mxnet.py verifies this with MXNet. A name may be listed before its counterpart has
a translator.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME_NAME = (
    *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "cos", "cosh", "degrees", "exp"),
    *("expm1", "fix", "floor", "log", "log10", "log1p", "log2", "negative", "radians", "reciprocal", "rint", "sign"),
    *("sin", "sinh", "sqrt", "square", "stack", "tan", "tanh", "trunc"),
)
NUMPY_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{f"_npi_{name}": name for name in SAME_NAME},
        **{"_npi_abs": "abs", "_npi_absolute": "abs"},
        **{"_np_copy": "_copy", "_np_squeeze": "squeeze", "_np_transpose": "transpose"},
        **{"_npi_arange": "_arange", "_npi_ones": "_ones", "_npi_zeros": "_zeros"},
        **{"_npi_hypot": "broadcast_hypot", "_npi_mod": "broadcast_mod"},
        **{"_npi_mod_scalar": "_mod_scalar", "_npi_rmod_scalar": "_rmod_scalar"},
        **{"_npx_relu": "relu", "_npx_sigmoid": "sigmoid"},
    }
)
