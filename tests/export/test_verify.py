from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from export import runner as runner_module
from export import verify as verify_module
from export.errors import MalformedModelError, ParityError
from export.graph.model import build_model
from export.reader.reference import Reference, parse_reference
from export.verify import verify, verify_alone
from tests.export.mxnet_files import Net, npz_bytes
from tests.export.networks import CROP, small_network, small_reference
from tests.export.ops_runner import translate_net

ROW = (3, CROP, CROP)


def small_model(net: Net | None = None, opset: int = 17) -> onnx.ModelProto:
    return build_model(translate_net(net or small_network(), ROW), opset)


def reference(rows: int = 5) -> Reference:
    return parse_reference(npz_bytes(small_reference(small_network(), rows)), "r")


def model_with(name: str, change: float) -> onnx.ModelProto:
    """One parameter moved by ``change``."""
    net = small_network()
    net.params[name] = net.params[name] + np.float32(change)
    return small_model(net)


def test_equal_model_passes() -> None:
    parity = verify(small_model(), reference())
    assert parity.max_abs_error < 1e-6
    assert 0 < parity.mean_abs_error <= parity.max_abs_error
    assert parity.min_cosine == pytest.approx(1, abs=1e-9)
    assert parity.batch_sizes == (1, 2, 5)


def test_one_row_is_enough() -> None:
    assert verify(small_model(), reference(rows=1)).batch_sizes == (1,)


def test_large_batches_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_module, "LARGEST_BATCH", 3)
    assert verify(small_model(), reference()).batch_sizes == (1, 2, 3)


@pytest.mark.parametrize(
    ("parameter", "node"),
    [("conv1_weight", "conv1"), ("conv2_weight", "bn"), ("bn_beta", "bn"), ("fc_bias", "fc"), ("fc_weight", "fc")],
)
def test_first_node_that_differs_is_named(parameter: str, node: str) -> None:
    with pytest.raises(ParityError, match=f"The first node that differs is '{node}'") as caught:
        verify(model_with(parameter, 0.1), reference())
    assert "output 'embedding' differs from MXNet by up to " in str(caught.value)


def test_row_that_differs_is_named() -> None:
    good = reference()
    embedding = good.outputs["embedding"].copy()
    embedding[3, 1] += 0.01
    with pytest.raises(
        ParityError,
        match=r"by up to 1\.0e-02, more than the tolerance 1\.0e-04 \(row 3\)\. For the first image, none of the 9",
    ):
        verify(small_model(), replace(good, outputs={"embedding": embedding}))


def test_reference_without_nodes_says_so() -> None:
    good = reference()
    with pytest.raises(ParityError, match="no outputs of inner nodes"):
        verify(small_model(), replace(good, outputs={"embedding": good.outputs["embedding"] + 1}, nodes={}))


def test_tolerance_is_absolute_and_grows_with_large_embeddings() -> None:
    good = reference()
    off = replace(good, outputs={"embedding": good.outputs["embedding"] + np.float32(5e-4)})
    with pytest.raises(ParityError):
        verify(small_model(), off)
    verify(small_model(), off, tolerance=6e-4)
    shifted = good.outputs["embedding"].copy()
    shifted[0, 0] = 1000
    with pytest.raises(ParityError, match=r"max \|d\| 1\.0e\+03 > 1\.0e-01"):
        verify(small_model(), replace(good, outputs={"embedding": shifted}))


def test_nan_is_a_difference() -> None:
    net = small_network()
    net.params["fc_bias"] = np.full(6, np.nan, np.float32)
    with pytest.raises(
        ParityError, match=r"contains NaN or infinity \(row 0\)\. The first node that differs is 'fc' \(Gemm\)"
    ):
        verify(small_model(net), reference())


def test_embedding_of_another_width_is_refused() -> None:
    good = reference()
    with pytest.raises(ParityError, match=r"is float32 \(1, 6\); expected float32 \(1, 4\)"):
        verify(small_model(), replace(good, outputs={"embedding": good.outputs["embedding"][:, :4]}))


def test_embedding_of_another_type_is_refused() -> None:
    model = small_model()
    model.graph.node[-1].output[0] = "single"
    model.graph.node.append(onnx.helper.make_node("Cast", ["single"], ["embedding"], to=onnx.TensorProto.DOUBLE))
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    with pytest.raises(ParityError, match="is float64"):
        verify(model, reference())


def test_images_of_another_size_are_refused() -> None:
    good = reference()
    with pytest.raises(MalformedModelError, match=r"is \(N, 3, 19, 19\), but the reference has \(5, 3, 19, 18\)"):
        verify(small_model(), replace(good, inputs={"data": good.data[..., :18]}))


def test_another_interface_is_refused() -> None:
    good = reference()
    two = replace(good, outputs={"embedding": good.outputs["embedding"], "fc": good.outputs["embedding"]})
    with pytest.raises(
        MalformedModelError, match=r"outputs \['embedding'\], but the reference has \['data'\] and \['emb"
    ):
        verify(small_model(), two)


def test_a_single_output_needs_no_name() -> None:
    good = reference()
    other = replace(good, outputs={"another": good.outputs["embedding"]})
    assert verify(small_model(), other) == verify(small_model(), good)
    with pytest.raises(ParityError, match="The first node that differs is 'conv1'"):
        verify(model_with("conv1_weight", 0.1), other)


def test_opset_that_onnxruntime_does_not_know_is_run_by_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: onnx.ModelProto) -> None:
        raise RuntimeError("Unsupported model IR version")

    monkeypatch.setattr(runner_module, "open_session", refuse)
    parity = verify(small_model(), reference())
    assert parity.max_abs_error < 1e-6
    assert (parity.batch_sizes, parity.engine) == ((1, 2), "onnx")
    with pytest.raises(ParityError, match="The first node that differs is 'fc'"):
        verify(model_with("fc_bias", 0.1), reference())
    verify_alone(small_model())


def test_newest_opset_is_verified() -> None:
    assert verify(small_model(opset=onnx.defs.onnx_opset_version()), reference()).max_abs_error < 1e-6


def test_empty_model_is_refused() -> None:
    with pytest.raises(MalformedModelError, match=r"the model has inputs \[\] and outputs \[\]"):
        verify(onnx.ModelProto(), reference())


def test_model_that_onnxruntime_does_not_know_is_refused() -> None:
    model = small_model()
    model.opset_import[0].version = 999
    with pytest.raises(ParityError, match=r"cannot load the model, which has opset 999"):
        verify(model, reference())


def test_model_that_depends_on_the_batch_is_noticed() -> None:
    model = small_model()
    model.graph.node[-1].output[0] = "single"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0], np.int64), "axis"))
    mean = onnx.helper.make_node("ReduceMean", ["single"], ["mean"], axes=[0], keepdims=1)
    model.graph.node.extend([mean, onnx.helper.make_node("Sub", ["single", "mean"], ["centered"])])
    model.graph.node.append(onnx.helper.make_node("Add", ["centered", "mean"], ["same"]))
    model.graph.node.append(onnx.helper.make_node("Add", ["same", "centered"], ["embedding"]))
    with pytest.raises(ParityError):
        verify(model, reference())


def test_without_a_reference_images_must_not_depend_on_each_other() -> None:
    verify_alone(small_model())
    model = small_model()
    model.graph.node[-1].output[0] = "single"
    mean = onnx.helper.make_node("ReduceMean", ["single"], ["mean"], axes=[0], keepdims=1)
    model.graph.node.extend([mean, onnx.helper.make_node("Sub", ["single", "mean"], ["embedding"])])
    with pytest.raises(
        ParityError, match=r"of an image in a batch differs from its output alone .* depends on the other images"
    ):
        verify_alone(model)
    model = small_model()
    model.graph.node[-1].op_type = "Mystery"
    with pytest.raises(ParityError, match="cannot load the model"):
        verify_alone(model)
