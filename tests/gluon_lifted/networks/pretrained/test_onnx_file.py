"""Initializers that the `onnx` package wrote, read without it."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.errors import DataError
from gluon_lifted.networks.pretrained.onnx_file import parse_onnx
from tests.examples import examples

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

RNG = np.random.default_rng(0)


def model(*tensors):
    graph = onnx.helper.make_graph([], "net", [], [], initializer=tensors)
    return onnx.helper.make_model(graph, ir_version=3)


def parse(written):
    return parse_onnx(memoryview(written.SerializeToString()), "net.onnx")


def listed(name, kind, array):
    """A tensor whose numbers are a list of the message, as Caffe2's exporter wrote them."""
    return onnx.helper.make_tensor(name, kind, array.shape, array.ravel())


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "i8"])
def test_initializers_come_back_exactly(dtype):
    weights, bias = (100 * RNG.normal(size=(3, 2, 5, 5))).astype(dtype), np.ones(3, dtype)
    tensors = parse(model(onnx.numpy_helper.from_array(weights, "a/7x7_w_0"), onnx.numpy_helper.from_array(bias, "b")))
    assert list(tensors) == ["a/7x7_w_0", "b"]
    assert tensors["a/7x7_w_0"].dtype == weights.dtype
    np.testing.assert_array_equal(tensors["a/7x7_w_0"], weights)
    np.testing.assert_array_equal(tensors["b"], bias)


def test_numbers_in_lists_come_back_exactly():
    array = RNG.normal(size=(4, 3))
    kinds = onnx.TensorProto
    tensors = parse(model(listed("a", kinds.FLOAT, array), listed("b", kinds.DOUBLE, array)))
    np.testing.assert_array_equal(tensors["a"], array.astype("f4"))
    np.testing.assert_array_equal(tensors["b"], array)


def test_scalars_and_other_types_do_not_disturb():
    texts = onnx.helper.make_tensor("text", onnx.TensorProto.STRING, [1], [b"x"])
    zero_point = onnx.numpy_helper.from_array(np.uint8(3), "zero")
    assert list(parse(model(texts, zero_point))) == ["zero"]


def test_quantized_weights_are_refused_by_name():
    quantized = onnx.numpy_helper.from_array(np.ones((2, 2), "i1"), "conv1_quantized")
    with pytest.raises(DataError, match=r"'conv1_quantized' is quantized to 8 bits. Give the network in float32"):
        parse(model(quantized))


def test_data_in_another_file_is_refused():
    tensor = onnx.numpy_helper.from_array(np.ones((2, 2), "f4"), "a")
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    tensor.ClearField("raw_data")
    with pytest.raises(DataError, match=r"'a' is in another file\. Save the network as a single file"):
        parse(model(tensor))


def test_size_shape_and_type_must_agree():
    tensor = onnx.numpy_helper.from_array(np.ones((2, 3), "f4"), "a")
    tensor.dims[1] = 1 << 62
    with pytest.raises(DataError, match=r"has 24 bytes, but its shape is \[2, 4611686018427387904\] of float32"):
        parse(model(tensor))
    tensor = listed("a", onnx.TensorProto.FLOAT, np.ones((2, 3)))
    tensor.data_type = onnx.TensorProto.INT32
    with pytest.raises(DataError, match="has the type int32, but numbers of type float32"):
        parse(model(tensor))


@pytest.mark.parametrize("shape", [(0,), (0, -1), (-(2**63), 0), (2**62, 0, 3)])
def test_empty_initializers_are_left_out_whatever_their_other_axes_say(shape):
    tensor = onnx.TensorProto(name="empty", data_type=onnx.TensorProto.FLOAT, dims=shape, raw_data=b"")
    content = model(tensor, onnx.numpy_helper.from_array(np.ones(2, "f4"), "a")).SerializeToString()
    assert list(parse_onnx(memoryview(content), "net.onnx")) == ["a"]


def test_zeros_are_no_fields():
    with pytest.raises(DataError, match="a field has the number 0"):
        parse_onnx(memoryview(b"\x08\x03" + bytes(10)), "net.onnx")


def test_two_initializers_of_one_name_are_refused():
    tensor = onnx.numpy_helper.from_array(np.ones(2, "f4"), "a")
    with pytest.raises(DataError, match="two initializers are 'a'"):
        parse(model(tensor, tensor))


def test_a_long_name_is_refused_before_it_is_read():
    tensor = onnx.numpy_helper.from_array(np.ones(2, "f4"), "n" * 4001)
    with pytest.raises(DataError, match="an initializer's name has 4,001 bytes, more than 4000"):
        parse(model(tensor))


SMALL = model(onnx.numpy_helper.from_array(np.ones((2, 3), "f4"), "a")).SerializeToString()


@examples(300, derandomize=True)
@given(position=st.integers(0, len(SMALL) - 1), value=st.integers(0, 255), end=st.integers(0, len(SMALL)))
def test_no_damage_gives_another_error(position, value, end):
    content = bytearray(SMALL)
    content[position] = value
    for damaged in (content, content[:end]):
        with contextlib.suppress(DataError):
            parse_onnx(memoryview(damaged), "x")
