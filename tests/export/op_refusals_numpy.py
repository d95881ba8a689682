"""Attributes of MXNet's NumPy operators that translators refuse, and what the message says of them."""

NUMPY_REFUSED = [
    ("_np_reshape", {"order": "F"}, "order=F is not supported (expected C)"),
    ("_npx_reshape", {"order": "F"}, "order=F is not supported (expected C)"),
    ("_npx_reshape", {"newshape": "(-6, -1, 2, -4)", "reverse": "True"}, "reverse=True is not supported"),
    ("_npi_concatenate", {"axis": "None"}, "axis=None is not supported (expected 0 to 3)"),
    ("_npi_concatenate", {"axis": "4"}, "axis=4 is not supported (expected 0 to 3)"),
    ("_npi_full_like", {"dtype": "float64"}, "dtype=float64 is not supported (expected float32 or float16)"),
    ("_np_sum", {"axis": "None"}, "axis=None is not supported (expected some of 1 to 3; axis 0 is the batch)"),
    ("_np_sum", {"initial": "2.0"}, "initial=2.0 is not supported"),
    ("_np_max", {"axis": "(0, 1)"}, "axis=(0, 1) is not supported"),
    ("_npi_mean", {"dtype": "float64"}, "dtype=float64 is not supported (expected float32 or float16)"),
    ("_npi_var", {"axis": "1", "ddof": "4"}, "ddof=4 is not supported (expected less than 4, the number of elements)"),
    ("_npi_std", {"axis": "()"}, "axis=() is not supported (expected at least one axis)"),
    ("_npi_average", {"weighted": "True"}, "weighted=True is not supported (expected False)"),
    ("_npi_average", {"returned": "True"}, "returned=True is not supported (expected False)"),
    ("_npi_flip", {"axis": "0"}, "axis=(0,) is not supported (expected some of 1 to 3; axis 0 is the batch)"),
    ("_split_v2", {"axis": "0"}, "axis=0 is not supported"),
    ("_npi_tensordot_int_axes", {"axes": "0"}, "axes=0 is not supported (expected 1 to 3)"),
    ("_npi_einsum", {"subscripts": "a...,a...->a..."}, "is not supported (expected letters, as in 'bij,bjk->bik')"),
    ("_npi_einsum", {"subscripts": "aacd,abcd->ab"}, "(expected different letters for the axes of an input)"),
    ("_npi_equal_scalar", {"scalar": "0.5"}, "scalar=0.5 is not supported (expected 0 or 1 beside truth values)"),
]
