"""Older symbols beside MXNet itself."""

from __future__ import annotations

import ctypes
import json

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from typing import TYPE_CHECKING

from export import N, NetworkInputs, export_network
from export.ops.registry import TRANSLATORS
from export.reader.symbol import parse_symbol
from export.reader.upgrade import ALIASES
from gluon_lifted.contract import SavedNetwork
from gluon_lifted.mx import mx, nd
from gluon_lifted.networks.reference import write_reference
from tests.export.reader.test_upgrade import old_symbol, params

if TYPE_CHECKING:
    from pathlib import Path


def described(name: str) -> tuple[str, list[str]]:
    """Ask MXNet which operator it means by a name, and for the names of its inputs and attributes."""
    library = mx.base._LIB
    handle, real = ctypes.c_void_p(), ctypes.c_char_p()
    mx.base.check_call(library.NNGetOpHandle(mx.base.c_str(name), ctypes.byref(handle)))
    strings = [ctypes.POINTER(ctypes.c_char_p)() for _ in range(3)]
    text, number, key, kind = ctypes.c_char_p(), ctypes.c_uint(), ctypes.c_char_p(), ctypes.c_char_p()
    mx.base.check_call(
        library.MXSymbolGetAtomicSymbolInfo(
            handle,
            *map(ctypes.byref, (real, text, number, *strings, key, kind)),
        )
    )
    return mx.base.py_str(real.value), [mx.base.py_str(strings[0][index]) for index in range(number.value)]


def canonical_name(name: str) -> str:
    return described(name)[0]


def test_the_aliases_are_mxnets() -> None:
    names = mx.operator.get_all_registered_operators()
    aliases = {name: real for name in names if (real := canonical_name(name)) != name}
    assert len(aliases) > 200
    assert dict(ALIASES) == {name: real for name, real in aliases.items() if real in TRANSLATORS}


def test_mxnet_upgrades_to_the_same_nodes() -> None:
    content = json.dumps(old_symbol())
    nodes = json.loads(mx.sym.load_json(content).tojson())["nodes"]
    theirs = {(node["op"], node["name"], tuple(nodes[entry[0]]["name"] for entry in node["inputs"])) for node in nodes}
    symbol = parse_symbol(content.encode(), "old")
    ours = {
        (node.op, node.name, tuple(symbol.nodes[entry.node].name for entry in node.inputs)) for node in symbol.nodes
    }
    unnamed = {node for node in ours if node[0] == "_mul_scalar" or "_mulscalar7" in node[2]}
    assert ours - unnamed == {node for node in theirs if node[0] != "_mul_scalar" and "" not in node[2]}


@pytest.mark.parametrize("prefixed", [True, False])
def test_an_old_network_computes_what_mxnet_does(tmp_path: Path, prefixed: bool) -> None:
    content = old_symbol()
    content["nodes"][7]["name"] = "twice"  # MXNet cannot feed a node without a name to the reference
    (tmp_path / "old-symbol.json").write_text(json.dumps(content))
    arrays = {f"{'aux' if 'moving' in name else 'arg'}:{name}": nd.array(array) for name, array in params().items()}
    nd.save(str(tmp_path / "old-0000.params"), arrays)
    network = SavedNetwork(tmp_path / "old-symbol.json", tmp_path / "old-0000.params")
    images = np.random.default_rng(1).normal(size=(2, 3, 5, 5)).astype(np.float32)
    write_reference(network, {"data": images}, tmp_path / "reference.npz")
    if not prefixed:
        nd.save(str(network.params), {name[4:]: array for name, array in arrays.items()})
    inputs = NetworkInputs({"data": (N, 3, 5, 5)})
    report = export_network(network, inputs, tmp_path / "old.onnx", reference=tmp_path / "reference.npz")
    assert report.parity is not None
    assert report.parity.max_abs_error < 1e-5
    session = onnxruntime.InferenceSession(tmp_path / "old.onnx")
    assert session.run(None, {"data": images})[0].shape == (2, 3, 5, 5)
