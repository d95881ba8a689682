"""Weights in other files: read, unless a hostile file names what is not its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="exporting needs onnx")

from onnx import TensorProto, helper, numpy_helper

from export import MalformedModelError, read_onnx
from export.adopt import external_data
from tests.export.foreign_models import Foreign

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A model with its weights beside it, as PyTorch and onnx write them."""
    onnx.save(
        Foreign().model(),
        tmp_path / "theirs.onnx",
        save_as_external_data=True,
        location="theirs.onnx.data",
        size_threshold=0,
    )
    return tmp_path / "theirs.onnx"


def changed(path: Path, entries: dict[str, Any]) -> Path:
    """The same, with other entries for its last tensor; None removes one."""
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[-1]
    new = {entry.key: entry.value for entry in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in new.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_are_moved_into_the_model(theirs):
    graph = read_onnx(theirs).model.graph
    expected = Foreign().weights()
    assert {tensor.data_location for tensor in graph.initializer} == {TensorProto.DEFAULT}
    assert len(graph.initializer) == len(expected)
    for tensor in graph.initializer:
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), expected[tensor.name])


def test_the_rest_of_a_file_without_a_length(theirs):
    theirs.with_name("bias").write_bytes(bytes(7) + np.arange(8, dtype=np.float32).tobytes())
    entries = {"location": "bias", "offset": "7", "length": None}
    (*_, bias) = read_onnx(changed(theirs, entries)).model.graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(bias), np.arange(8))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "/etc/passwd"}, r"keeps its weights in '/etc/passwd', outside its folder"),
        ({"location": "a/../../x"}, "outside its folder"),
        ({"location": "a\0b"}, "outside its folder"),
        ({"location": None}, "the file with its weights, .*, is missing"),
        ({"location": "a" * 300}, r"its weights cannot be read \(File name too long\)"),
        ({"location": "gone"}, "the file with its weights, .*/gone, is missing. Copy both"),
        ({"offset": "1000000"}, r"needs 32 bytes at offset 1,000,000 of .*\.data, which has"),
        ({"length": "999999999999999999"}, "needs 999,999,999,999,999,999 bytes"),
        ({"length": "-5"}, "needs -1 bytes"),
        ({"offset": "9" * 5000}, "at offset -1 of"),
    ],
)
def test_hostile_entries(theirs, entries, message):
    with pytest.raises(MalformedModelError, match=message):
        read_onnx(changed(theirs, entries))


def test_no_more_than_a_file_holds(theirs, monkeypatch):
    monkeypatch.setattr(external_data, "MAX_MODEL_BYTES", 1200)
    with pytest.raises(MalformedModelError, match=r"larger than 1,200 bytes together with its weights"):
        read_onnx(theirs)


def test_in_a_branch_of_a_branch(theirs):
    model = onnx.load(theirs)
    inner = helper.make_graph([], "inner", [], [], [numpy_helper.from_array(np.zeros(1, np.float32), "w")])
    inner.initializer[0].data_location = TensorProto.EXTERNAL
    inner.initializer[0].external_data.add(key="location", value="gone")
    node = helper.make_node("If", ["yes"], ["x"], then_branch=inner, else_branch=inner)
    outer = helper.make_graph([node], "outer", [], [])
    model.graph.node.append(helper.make_node("If", ["yes"], ["y"], then_branch=outer, else_branch=outer))
    theirs.write_bytes(model.SerializeToString())
    with pytest.raises(MalformedModelError, match="/gone, is missing"):
        read_onnx(theirs)
