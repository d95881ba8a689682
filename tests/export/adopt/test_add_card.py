"""ONNX files of other exporters: the same numbers, with a card, at any batch size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="exporting needs onnx")

from onnx import TensorProto, helper, numpy_helper

from export import EmbeddingNetwork, MalformedModelError, add_card, read_onnx
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import ConfigError
from gluon_lifted.images import Preprocessing, normalize
from tests.export.foreign_models import DIM, SIDE, Foreign

if TYPE_CHECKING:
    from pathlib import Path

PREPROCESSING = Preprocessing(resize=14, crop=SIDE, mean=(120, 110, 100), std=(60, 60, 60))
TAKE = EmbeddingNetwork(preprocessing=PREPROCESSING, name="theirs")
PIXELS = np.random.default_rng(5).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


def rows_of(path: Path) -> np.ndarray:
    """What onnxruntime computes for `PIXELS`, under the names that the packages share."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (info,), (output,) = session.get_inputs(), session.get_outputs()
    assert (info.name, info.type, info.shape) == ("data", "tensor(float)", ["N", 3, SIDE, SIDE])
    assert (output.name, output.type, output.shape[0]) == ("embedding", "tensor(float)", "N")
    (rows,) = session.run(["embedding"], {"data": normalize(PIXELS, PREPROCESSING)})
    return rows


def card_in(path: Path) -> ModelCard:
    (prop,) = [prop for prop in onnx.load(path).metadata_props if prop.key == CARD_KEY]
    return ModelCard.from_json(prop.value, str(path))


MANNERS = {
    "pytorch": Foreign(),
    "pytorch, batch of one": Foreign(batch=1),
    "pytorch, batch of one, x.view": Foreign(batch=1, tail="reshape"),
    "mx2onnx": Foreign(input_name="data", output_name="fc1", batch=1, initializers_are_inputs=True, opset=9),
    "unnamed batch": Foreign(batch=""),
    "pooling": Foreign(tail="none"),
    "float16": Foreign(half=True),
    "float16 named data": Foreign(half=True, input_name="data", output_name="embedding"),
    "names taken inside": Foreign(inner="data"),
    "embedding inside": Foreign(inner="embedding", tail="none"),
    "swapped": Foreign(input_name="embedding", output_name="data"),
    "sizes open": Foreign(side="height"),
    "newest": Foreign(opset=18),
    "small numbers": Foreign(weight_scale=1e-3, batch=1, tail="reshape"),
}


@pytest.mark.parametrize("net", MANNERS.values(), ids=MANNERS.keys())
@pytest.mark.parametrize("unit", [False, True])
def test_the_same_rows_in_any_batch(tmp_path, net, unit):
    path = net.write(tmp_path / "theirs.onnx")
    card = add_card(read_onnx(path), tmp_path / "out.onnx", replace(TAKE, normalize=unit))
    expected = net.rows(normalize(PIXELS, PREPROCESSING))
    if unit:
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    tolerance = 3e-3 if net.half else 1e-5
    np.testing.assert_allclose(rows_of(tmp_path / "out.onnx"), expected, atol=tolerance * np.abs(expected).max())
    assert card == card_in(tmp_path / "out.onnx")
    assert (card.name, card.dim, card.normalized) == ("theirs", expected.shape[1], unit)
    assert card.preprocessing == PREPROCESSING
    assert card.provenance == {"onnx": "theirs.onnx"} | ({"precision": "fp16"} if net.half else {})
    onnx.checker.check_model(onnx.load(tmp_path / "out.onnx"), full_check=True)


def test_one_of_several_outputs_or_of_the_tensors_inside(tmp_path):
    path = Foreign(more_outputs=True).write(tmp_path / "theirs.onnx")
    with pytest.raises(MalformedModelError, match=r"has 2 outputs \(683, scores\)\. Choose one with --output"):
        read_onnx(path)
    data = normalize(PIXELS, PREPROCESSING)
    for output, net in (("683", Foreign()), ("pooled", Foreign(tail="none"))):
        add_card(read_onnx(path, output), tmp_path / "out.onnx", TAKE)
        np.testing.assert_allclose(rows_of(tmp_path / "out.onnx"), net.rows(data), atol=1e-5)
    kept = onnx.load(tmp_path / "out.onnx").graph
    assert [node.op_type for node in kept.node] == ["Conv", "Relu", "GlobalAveragePool", "Flatten"]
    assert [tensor.name for tensor in kept.initializer] == ["conv"]
    with pytest.raises(MalformedModelError, match=r"has no tensor 'poled'\. Its outputs .*Similar names: pooled"):
        read_onnx(path, "poled")


def test_unit_length_is_measured(tmp_path):
    path = Foreign(unit=True).write(tmp_path / "theirs.onnx")
    card = add_card(read_onnx(path), tmp_path / "out.onnx", replace(TAKE, normalize=True))
    assert card.normalized
    assert "ReduceL2" not in {node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node}


def test_a_card_is_corrected_in_place(tmp_path):
    path = Foreign().write(tmp_path / "theirs.onnx")
    first = add_card(read_onnx(path), path, TAKE)
    graph = onnx.load(path).graph
    again = replace(TAKE, name="ours", preprocessing=replace(PREPROCESSING, resize=20), described=first)
    second = add_card(read_onnx(path), path, again)
    assert second == replace(first, name="ours", preprocessing=again.preprocessing)
    assert card_in(path) == second
    assert onnx.load(path).graph == graph


def test_other_metadata_is_kept(tmp_path):
    model = Foreign().model()
    helper.set_model_props(model, {"author": "somebody"})
    (tmp_path / "theirs.onnx").write_bytes(model.SerializeToString())
    add_card(read_onnx(tmp_path / "theirs.onnx"), tmp_path / "out.onnx", TAKE)
    assert {prop.key for prop in onnx.load(tmp_path / "out.onnx").metadata_props} == {"author", CARD_KEY}


def test_a_file_that_normalizes_pixels_itself(tmp_path):
    """Its normalization is inside, so that the card can say nothing else; the rest can be corrected."""
    path = tmp_path / "pixels.onnx"
    card = ModelCard("x", "y", DIM, normalized=False, preprocessing=PREPROCESSING, dataset="d", loss="l")
    model = Foreign().model()
    names = ["images", "float", "input.1"]
    steps = [helper.make_node("Cast", names[:1], names[1:2], to=TensorProto.FLOAT)]
    steps.append(helper.make_node("Transpose", names[1:2], names[2:], perm=(0, 3, 1, 2)))
    nodes = [*steps, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIDE, SIDE, 3]))
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    path.write_bytes(model.SerializeToString())
    changed = replace(TAKE, preprocessing=replace(PREPROCESSING, fit="pad"), described=card, normalize=True)
    assert add_card(read_onnx(path), tmp_path / "out.onnx", changed).normalized
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"), providers=["CPUExecutionProvider"])
    (rows,) = session.run(["embedding"], {"images": PIXELS})
    expected = Foreign().rows(PIXELS.transpose(0, 3, 1, 2))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    other = replace(changed, preprocessing=replace(PREPROCESSING, mean=(1, 2, 3)))
    with pytest.raises(ConfigError, match=r"normalizes images itself.* A card cannot change that"):
        add_card(read_onnx(path), tmp_path / "out.onnx", other)


def test_names_inside_branches_are_renamed_too(tmp_path):
    """``input.1`` is also read by both branches of an If, where one has a tensor called ``data``."""
    info = [helper.make_tensor_value_info("branch", TensorProto.FLOAT, None)]
    then = helper.make_graph(
        [helper.make_node("Relu", ["input.1"], ["data"]), helper.make_node("Neg", ["data"], ["branch"])], "t", [], info
    )
    other = helper.make_graph([helper.make_node("Neg", ["input.1"], ["branch"])], "e", [], info)
    graph = helper.make_graph(
        [
            helper.make_node("If", ["yes"], ["chosen"], then_branch=then, else_branch=other),
            helper.make_node("ReduceMean", ["chosen"], ["out"], axes=[2, 3], keepdims=0),
        ],
        "main",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array(True), "yes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "if.onnx").write_bytes(model.SerializeToString())
    add_card(read_onnx(tmp_path / "if.onnx"), tmp_path / "out.onnx", TAKE)
    expected = -np.maximum(normalize(PIXELS, PREPROCESSING), 0).mean(axis=(2, 3))
    np.testing.assert_allclose(rows_of(tmp_path / "out.onnx"), expected, atol=1e-5)


def infinite(model: onnx.ModelProto) -> None:
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.full(DIM, np.inf, np.float32), "bias"))


def constant(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.zeros((DIM, 6), np.float32), "matrix"))


def unknown_op(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Rellu"


def another_width(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.zeros((DIM, 7), np.float32), "matrix"))


def maps(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "relu"


@pytest.mark.parametrize(
    ("net", "change", "message"),
    [
        (Foreign(), infinite, "its output contains NaN or infinity. Correct the preprocessing"),
        (Foreign(), constant, "returns the same embedding for different images"),
        (Foreign(), unknown_op, "onnxruntime cannot load it .*Rellu"),
        (Foreign(), another_width, "onnxruntime"),
        (Foreign(), maps, r"the output for one image has the shape \(6, 10, 10\); expected \(D,\)"),
        (
            Foreign(tail="batch"),
            None,
            "of a batch of 2 differ from those of single images. The network works for single",
        ),
        (Foreign(tail="batch", weight_scale=1e-3), None, "embeddings of a batch of 2 differ"),
        (Foreign(tail="batch", batch=1), None, "Export it again with a dynamic batch size"),
    ],
)
def test_networks_that_cannot_embed(tmp_path, net, change, message):
    model = net.model()
    if change is not None:
        change(model)
    (tmp_path / "theirs.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(MalformedModelError, match=message):
        add_card(read_onnx(tmp_path / "theirs.onnx"), tmp_path / "out.onnx", TAKE)
    assert not (tmp_path / "out.onnx").exists()
    assert (tmp_path / "theirs.onnx").read_bytes() == model.SerializeToString()


def test_a_card_of_another_network(tmp_path):
    path = Foreign().write(tmp_path / "theirs.onnx")
    card = ModelCard("x", "y", 9, normalized=False, preprocessing=PREPROCESSING, dataset="d", loss="l")
    for described, message in (
        (card, "computes 8 numbers per image, but the card says dim 9"),
        (replace(card, dim=8, normalized=True), "says that embeddings have unit length.*add --normalize"),
    ):
        with pytest.raises(ConfigError, match=message):
            add_card(read_onnx(path), path, replace(TAKE, described=described))
    with pytest.raises(
        ConfigError, match=r"takes images of 12 px, but the card's crop is 10 px\. Change the crop to 12"
    ):
        add_card(read_onnx(path), path, replace(TAKE, preprocessing=replace(PREPROCESSING, crop=10)))


def test_an_old_opset_cannot_normalize(tmp_path):
    path = Foreign(opset=7).write(tmp_path / "theirs.onnx")
    add_card(read_onnx(path), tmp_path / "out.onnx", TAKE)
    with pytest.raises(MalformedModelError, match="cannot be normalized in opset 7"):
        add_card(read_onnx(path), tmp_path / "out.onnx", replace(TAKE, normalize=True))
