"""Which ONNX files take images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

onnx = pytest.importorskip("onnx", reason="exporting needs onnx")

from onnx import TensorProto, helper

from export import MalformedModelError, read_onnx
from tests.export.foreign_models import SIDE, Foreign

if TYPE_CHECKING:
    from pathlib import Path


def edited(path: Path, change: Any) -> Path:
    model = Foreign().model()
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def another_input(model: onnx.ModelProto) -> None:
    model.graph.input.add().CopyFrom(helper.make_tensor_value_info("label", TensorProto.FLOAT, [1]))


def shape(*sizes: int) -> Any:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("input.1", TensorProto.FLOAT, sizes))

    return change


def integers(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another_input, r"has 2 inputs \(input\.1, label\); expected one, for images"),
        (shape(1, SIDE, SIDE, 3), "expected float32 or float16 .N, 3, H, W.. Export it again with channels first"),
        (shape(1, 1, SIDE, SIDE), r"'input\.1' is FLOAT \(1, 1, 12, 12\); expected float32"),
        (shape(1, 3, 10, 12), "expected square images"),
        (
            shape(8, 3, SIDE, SIDE),
            r"which fixes the batch size at 8. Export it again with batch size 1, or a dynamic one",
        ),
        (shape(1, 3), "expected float32 or float16"),
        (integers, r"is INT64 \(\?, 3, 12, 12\); expected float32"),
        (lambda model: model.ClearField("graph"), r"has 0 inputs \(none\)"),
        (lambda model: model.ClearField("opset_import"), "a damaged ONNX model"),
    ],
)
def test_files_that_do_not_take_images(tmp_path, change, message):
    with pytest.raises(MalformedModelError, match=message):
        read_onnx(edited(tmp_path / "theirs.onnx", change))


NOT_UTF_8 = Foreign().model().SerializeToString().replace(b"pooled", b"p\xffoled")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07\x3a\xff\xff\xff\xff\x0f", NOT_UTF_8])
def test_files_that_are_no_models(tmp_path, content):
    (tmp_path / "no.onnx").write_bytes(content)
    with pytest.raises(MalformedModelError, match=r"not an ONNX model|a damaged ONNX model"):
        read_onnx(tmp_path / "no.onnx")


@pytest.mark.parametrize(("side", "half", "crop"), [(SIDE, False, SIDE), ("s", True, None)])
def test_type_and_side_of_the_images(tmp_path, side, half, crop):
    file = read_onnx(Foreign(side=side, half=half).write(tmp_path / "theirs.onnx"))
    assert (file.kind, file.crop) == (TensorProto.FLOAT16 if half else TensorProto.FLOAT, crop)
    assert (file.takes_pixels, file.card()) == (False, None)
