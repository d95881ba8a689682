import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.errors import DataError
from gluon_lifted.networks.pretrained.caffemodel import parse_caffemodel
from tests.examples import examples
from tests.gluon_lifted.networks.pretrained.conftest import message, varint

RNG = np.random.default_rng(0)
LAYERS = {
    "conv1/7x7_s2": [RNG.normal(size=(3, 2, 5, 5)).astype("f4"), RNG.normal(size=3).astype("f4")],
    "loss3/classifier": [RNG.normal(size=(4, 7)), RNG.normal(size=4)],
}


@pytest.mark.parametrize("legacy", [False, True])
def test_blobs_come_back_exactly(tmp_path, write_caffemodel, legacy):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, LAYERS, legacy)
    blobs = parse_caffemodel(memoryview(path.read_bytes()), "net")
    assert list(blobs) == ["conv1/7x7_s2[0]", "conv1/7x7_s2[1]", "loss3/classifier[0]", "loss3/classifier[1]"]
    for name, arrays in LAYERS.items():
        for index, array in enumerate(arrays):
            blob = blobs[f"{name}[{index}]"]
            assert blob.dtype == array.dtype
            np.testing.assert_array_equal(blob.squeeze(), array)
    assert blobs["conv1/7x7_s2[0]"].shape == (3, 2, 5, 5)
    assert blobs["conv1/7x7_s2[1]"].shape == (3,)


def caffe_classes():
    """NetParameter and what it needs, declared for protobuf's own runtime."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = {"string": 9, "float": 2, "double": 1, "int32": 5, "int64": 3}
    file = descriptor_pb2.FileDescriptorProto(name="caffe_test.proto", package="caffe", syntax="proto2")

    def declare(name, /, **fields):
        declared = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            declaration = declared.field.add(
                name=field, number=number, label=3 if repeated else 1, type=kinds.get(kind, 11)
            )
            if kind not in kinds:
                declaration.type_name = f".caffe.{kind}"
            elif repeated and kind != "string":
                declaration.options.packed = True

    declare("BlobShape", dim=(1, "int64", True))
    declare(
        "BlobProto", shape=(7, "BlobShape", False), data=(5, "float", True), diff=(6, "float", True),
        double_data=(8, "double", True), num=(1, "int32", False), channels=(2, "int32", False),
        height=(3, "int32", False), width=(4, "int32", False),
    )  # fmt: skip
    declare("LayerParameter", name=(1, "string", False), bottom=(3, "string", True), blobs=(7, "BlobProto", True))
    declare("NetParameter", name=(1, "string", False), layer=(100, "LayerParameter", True))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def test_what_protobuf_writes_is_read():
    pytest.importorskip("google.protobuf")
    net = caffe_classes()(name="GoogleNet")
    layer = net.layer.add(name="conv2/3x3", bottom=["norm1"])
    array = RNG.normal(size=(6, 5, 3, 3)).astype("f4")
    blob = layer.blobs.add(data=array.ravel(), diff=array.ravel())
    blob.shape.dim.extend(array.shape)
    layer.blobs.add(num=1, channels=1, height=1, width=300, data=np.arange(300))
    blobs = parse_caffemodel(memoryview(net.SerializeToString()), "net")
    np.testing.assert_array_equal(blobs["conv2/3x3[0]"], array)
    np.testing.assert_array_equal(blobs["conv2/3x3[1]"], np.arange(300))


def small(tmp_path, write_caffemodel):
    path = tmp_path / "small.caffemodel"
    write_caffemodel(path, {"a": [np.ones((2, 3), "f4")], "b": [np.ones(2, "f4")]})
    return path.read_bytes()


@pytest.mark.parametrize("end", [-1, -5, 30, 12, 3])
def test_truncated_file_is_refused_by_name(tmp_path, write_caffemodel, end):
    content = small(tmp_path, write_caffemodel)
    with pytest.raises(DataError, match=r"^small\.caffemodel: .* The file is damaged"):
        parse_caffemodel(memoryview(content[:end]), "small.caffemodel")


def test_size_and_shape_must_agree(tmp_path, write_caffemodel):
    content = small(tmp_path, write_caffemodel)
    at = content.index(b"\x0a\x02\x02\x03") + 2  # BlobShape: dim, 2 bytes, 2 x 3
    changed = content[:at] + b"\x02\x04" + content[at + 2 :]
    with pytest.raises(DataError, match=r"a blob of layer 'a' has 6 numbers, but its shape is \[2, 4\]"):
        parse_caffemodel(memoryview(changed), "x")


def test_huge_sizes_take_no_memory():
    blob = b"\x3a\x0b\x0a\x09" + b"\xff" * 8 + b"\x7f" + b"\x2a\x04" + b"\0" * 4  # one dim of 2**63 - 1, one float
    layer = b"\x0a\x01a" + b"\x3a" + bytes([len(blob)]) + blob
    with pytest.raises(DataError, match="has 1 numbers"):
        parse_caffemodel(memoryview(b"\xa2\x06" + bytes([len(layer)]) + layer), "x")
    with pytest.raises(DataError, match="needs 9,223,372,036,854,775,807 bytes"):
        parse_caffemodel(memoryview(b"\x0a" + b"\xff" * 8 + b"\x7f"), "x")
    with pytest.raises(DataError, match="more than 10 bytes"):
        parse_caffemodel(memoryview(b"\xff" * 11), "x")


@pytest.mark.parametrize("shape", [(0,), (0, 2**63), (2**62, 0, 3)])
def test_empty_blobs_are_refused_whatever_their_other_axes_say(shape):
    blob = message(7, message(1, b"".join(map(varint, shape)))) + message(5, b"")
    content = message(100, message(1, b"a") + message(7, blob))
    with pytest.raises(DataError, match=r"a blob of layer 'a' has 0 numbers, but its shape is \[.*0"):
        parse_caffemodel(memoryview(content), "x")


def test_a_layer_of_many_blobs_is_refused_before_its_name_is_repeated(tmp_path, write_caffemodel):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, {"n" * 4000: [np.ones(1, "f4")] * 101})
    with pytest.raises(DataError, match=r"layer 'n+ has more than 100 blobs"):
        parse_caffemodel(memoryview(path.read_bytes()), "net")


def test_two_layers_of_one_name_are_refused(tmp_path, write_caffemodel):
    content = small(tmp_path, write_caffemodel)
    with pytest.raises(DataError, match=r"two blobs are 'a\[0\]'"):
        parse_caffemodel(memoryview(content + content), "x")


@examples(300, derandomize=True)
@given(position=st.integers(0, 71), value=st.integers(0, 255), end=st.integers(0, 72))
def test_no_damage_gives_another_error(tmp_path_factory, write_caffemodel, position, value, end):
    content = bytearray(small(tmp_path_factory.getbasetemp(), write_caffemodel))
    content[position % len(content)] = value
    for damaged in (content, content[:end]):
        with contextlib.suppress(DataError):
            parse_caffemodel(memoryview(damaged), "x")


def test_a_long_name_is_refused_before_it_is_repeated(tmp_path, write_caffemodel):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, {"n" * 4001: [np.zeros(0, "f4")] * 50}, False)
    with pytest.raises(DataError, match="a layer's name has 4,001 bytes, more than 4000"):
        parse_caffemodel(memoryview(path.read_bytes()), "net")
