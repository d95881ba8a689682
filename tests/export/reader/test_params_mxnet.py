"""Files that MXNet itself wrote."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from typing import TYPE_CHECKING

from export.errors import MalformedModelError
from export.reader.params import parse_params
from gluon_lifted.mx import mx, nd
from tests.export.mxnet_files import TYPE_FLAGS, params_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("dtype", sorted(set(TYPE_FLAGS) - {"bool"}))
def test_reads_every_type(dtype: str, tmp_path: Path) -> None:
    array = np.arange(-3, 21).reshape(2, 3, 4).astype(dtype)
    path = tmp_path / "x.params"
    nd.save(str(path), {"arg:w": nd.array(array, dtype=dtype), "aux:mean": nd.array(array[0, 0], dtype=dtype)})
    params = parse_params(path.read_bytes(), "x.params")
    assert {name: stored.dtype for name, stored in params.items()} == {"w": array.dtype, "mean": array.dtype}
    np.testing.assert_array_equal(params["w"], array)
    np.testing.assert_array_equal(params["mean"], array[0, 0])


def test_reads_booleans_and_numbers_without_axes(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    array = np.array([[True, False], [False, False]])
    with mx.util.np_shape(True), mx.util.np_array(True):
        mx.npx.save(str(path), {"arg:b": mx.np.array(array, dtype="bool"), "arg:x": mx.np.array(2.5)})
    params = parse_params(path.read_bytes(), "x.params")
    np.testing.assert_array_equal(params["b"], array)
    assert params["x"] == 2.5
    assert params["x"].shape == ()


def test_sparse_and_unnamed_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    nd.save(str(path), {"arg:w": nd.ones((2, 2)).tostype("csr")})
    with pytest.raises(MalformedModelError, match=r"is sparse .storage type 2"):
        parse_params(path.read_bytes(), "x")
    nd.save(str(path), [nd.ones((2, 2))])
    with pytest.raises(MalformedModelError, match="1 arrays but 0 names"):
        parse_params(path.read_bytes(), "x")


@pytest.mark.parametrize("version", ["V1", "V2", "legacy"])
def test_mxnet_reads_the_files_of_our_tests(version: str, tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    path.write_bytes(params_bytes({"arg:w": array}, version))
    np.testing.assert_array_equal(nd.load(str(path))["arg:w"].asnumpy(), array)
