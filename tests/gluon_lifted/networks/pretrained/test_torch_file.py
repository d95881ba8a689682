import contextlib
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from gluon_lifted.errors import DataError
from gluon_lifted.networks.pretrained import torch_pickle
from gluon_lifted.networks.pretrained.torch_file import parse_torch
from gluon_lifted.networks.pretrained.torch_pickle import MAX_PICKLE_BYTES, read_pickle
from tests.examples import examples
from tests.gluon_lifted.networks.pretrained.conftest import Storage, Tensor

RNG = np.random.default_rng(0)
ARRAYS = {
    "conv1.conv.weight": RNG.normal(size=(3, 2, 5, 5)).astype("f4"),
    "conv1.bn.running_mean": RNG.normal(size=300),
    "conv1.bn.num_batches_tracked": np.array(7, "i8"),
    "half": RNG.normal(size=(2, 1, 4)).astype("f2"),
}


def parse(path):
    return parse_torch(memoryview(path.read_bytes()), path.name)


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_come_back_exactly(tmp_path, write_torch, legacy):
    path = tmp_path / "net.pth"
    write_torch(path, ARRAYS, legacy)
    tensors = parse(path)
    assert list(tensors) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_that_share_a_storage_are_views_of_it(tmp_path, write_torch, legacy):
    storage = Storage("0", np.arange(12, dtype="f4"))
    state = OrderedDict(
        whole=Tensor(storage, 0, (3, 4), (4, 1)),
        transposed=Tensor(storage, 0, (4, 3), (1, 4)),
        part=Tensor(storage, 5, (2, 2), (4, 1)),
    )
    write_torch(tmp_path / "net.pth", legacy=legacy, state=state, storages=[storage])
    tensors = parse(tmp_path / "net.pth")
    whole = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(tensors["whole"], whole)
    np.testing.assert_array_equal(tensors["transposed"], whole.T)
    np.testing.assert_array_equal(tensors["part"], whole[1:, 1:3])


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (3, 4), (4, 2)), (1, (12,), (1,)), (12, (), ()), (0, (2**40,), (1,)), (0, (0, 4), (4, 1))],
)  # fmt: skip
def test_view_outside_its_storage_is_refused(tmp_path, write_torch, offset, shape, strides):
    storage = Storage("0", np.arange(12, dtype="f4"))
    write_torch(tmp_path / "net.pth", state={"w": Tensor(storage, offset, shape, strides)}, storages=[storage])
    with pytest.raises(DataError, match=r"net\.pth: tensor 'w' of shape .* does not fit into its storage"):
        parse(tmp_path / "net.pth")


def test_axes_are_counted_before_they_are_copied(tmp_path, write_torch):
    storage = Storage("0", np.arange(12, dtype="f4"))
    state = {"w": Tensor(storage, 0, (2,) * 33, (0,) * 33)}
    write_torch(tmp_path / "net.pth", state=state, storages=[storage])
    with pytest.raises(DataError, match="a tensor of 33 axes; the limit is 32"):
        parse(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("shape", "strides"), [((-1,), (1,)), ((2,), (-1,)), ((2, 2), (1,)), ((2.0,), (1,)), ((True,), (1,)), (3, (1,))]
)
def test_shape_of_no_tensor_is_refused(tmp_path, write_torch, shape, strides):
    storage = Storage("0", np.arange(12, dtype="f4"))
    write_torch(tmp_path / "net.pth", state={"w": Tensor(storage, 0, shape, strides)}, storages=[storage])
    with pytest.raises(DataError, match=r"net\.pth: its pickle is damaged"):
        parse(tmp_path / "net.pth")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickled_call_is_refused_and_not_made(tmp_path, protocol):
    target = tmp_path / "made"

    class Call:
        def __reduce__(self):
            return os.mkdir, (str(target),)

    with pytest.raises(DataError, match=r"^net\.pth: (names 'posix\.mkdir', and only|has the opcode|its pickle)"):
        read_pickle(memoryview(pickle.dumps({"w": Call()}, protocol)), "net.pth")
    assert not target.exists()


def test_whole_networks_are_refused_by_the_name_of_their_class(tmp_path):
    content = pickle.dumps(zipfile.ZipInfo(), 2)
    with pytest.raises(DataError, match=r"its pickle needs .* Save only the network's state_dict\(\)"):
        read_pickle(memoryview(content), "net.pth")


@pytest.mark.parametrize("value", [{"state_dict": {}, "epoch": 3}, [1, 2], {"a": "text"}, "text"])
def test_what_is_no_state_dict_is_refused(tmp_path, write_torch, value):
    write_torch(tmp_path / "net.pth", state=value)
    with pytest.raises(DataError, match=r"contains more than named tensors\. Save only the network's state_dict\(\)"):
        parse(tmp_path / "net.pth")


@pytest.mark.parametrize(
    "content",
    [b"", b".", b"N", b"}}s.", b"(.", b"0.", b"h\x05.", b"(d.", b"NN.", b"K\x01K\x02s.", b"}(]N.", b"NQ.",
     b"NNR.", b"}]Ns.", b"\x80\x02X\xff\xff\xff\xffabc."],
)  # fmt: skip
def test_crooked_pickles_are_refused(content):
    with pytest.raises(DataError, match=r"^x: "):
        read_pickle(memoryview(content), "x")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("call", [b"R", b"\x81"])
def test_call_of_nested_tuples_is_refused_without_hashing_them(call):
    """Each level holds the one before twice, so a hash of 64 levels would take longer than anyone waits."""
    content = b"\x80\x02)q\x00" + 64 * b"h\x00h\x00\x86q\x00" + b")" + call + b"."
    with pytest.raises(DataError, match="a call of something other than a name"):
        read_pickle(memoryview(content), "x")


def test_a_list_given_to_many_calls_is_refused(monkeypatch):
    monkeypatch.setattr(torch_pickle, "MAX_PAIRS", 5)
    pairs = b"](](K\x00Ne](K\x01Neeq\x00"
    calls = [b"ccollections\nOrderedDict\nq\x01" + pairs, *3 * [b"h\x01h\x00\x85R"]]
    value, _ = read_pickle(memoryview(b"\x80\x02(" + b"".join(calls[:3]) + b"t."), "x")
    assert value[2:] == ({0: None, 1: None},) * 2
    with pytest.raises(DataError, match="more than 5 pairs in calls of OrderedDict"):
        read_pickle(memoryview(b"\x80\x02(" + b"".join(calls) + b"t."), "x")


def test_list_that_holds_itself_does_no_harm():
    value, _ = read_pickle(memoryview(b"\x80\x02]q\x00h\x00a."), "x")
    assert value[0] is value


def test_pickle_is_read_to_a_limit():
    content = b"\x80\x02" + b"X" + struct.pack("<I", MAX_PICKLE_BYTES) + b"a" * MAX_PICKLE_BYTES + b"."
    with pytest.raises(DataError, match="its pickle is damaged"):
        read_pickle(memoryview(content), "x")


def rewritten(path, change):
    """The archive with its members as ``change`` makes them: {name: (content, compression)}."""
    with zipfile.ZipFile(path) as archive:
        members = {name: (archive.read(name), zipfile.ZIP_STORED) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, (content, compression) in members.items():
            archive.writestr(name, content, compression)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("archive/data.pkl"), "it has no data.pkl"),
        (lambda m: m.update({"b/data.pkl": m["archive/data.pkl"]}), "or several"),
        (lambda m: m.pop("archive/data/0"), "the archive is damaged"),
        (lambda m: m.update({"archive/data/0": (b"\0" * 8, 0)}), "a storage whose size differs"),
        (lambda m: m.update({"archive/data/0": (b"\0" * 601, 0)}), "the archive is damaged"),
        (lambda m: m.update({"archive/byteorder": (b"big", 0)}), "big-endian"),
        (
            lambda m: m.update({"bomb": (b"\0" * 10**6, zipfile.ZIP_DEFLATED)}),
            "since it is compressed or its sizes are wrong",
        ),
    ],
)
def test_archives_that_torch_does_not_write_are_refused(tmp_path, write_torch, change, message):
    path = tmp_path / "net.pth"
    write_torch(path, ARRAYS)
    rewritten(path, change)
    with pytest.raises(DataError, match=f"^net\\.pth.*{message}"):
        parse(path)


def test_flipped_bit_is_found(tmp_path, write_torch):
    path = tmp_path / "net.pth"
    write_torch(path, ARRAYS)
    content = bytearray(path.read_bytes())
    content[content.index(ARRAYS["conv1.conv.weight"].tobytes()) + 20] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"the archive is damaged \(Bad CRC-32"):
        parse(path)


@pytest.mark.parametrize("size", [2**62, 149, 151, -1])
def test_legacy_storage_must_have_the_size_it_says(tmp_path, write_torch, size):
    path = tmp_path / "net.pth"
    write_torch(path, {"w": ARRAYS["conv1.conv.weight"]}, legacy=True)
    content = path.read_bytes()
    at = len(content) - 8 - 150 * 4
    assert content[at : at + 8] == struct.pack("<q", 150)
    path.write_bytes(content[:at] + struct.pack("<q", size) + content[at + 8 :])
    with pytest.raises(DataError, match=r"net\.pth.*([Tt]he file is damaged|needs)"):
        parse(path)


@pytest.fixture
def small_files(tmp_path, write_torch):
    contents = []
    for legacy in (False, True):
        write_torch(tmp_path / "small.pth", {"w": np.ones((2, 3), "f4"), "b": np.ones(2, "f4")}, legacy)
        contents.append((tmp_path / "small.pth").read_bytes())
    return contents


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # of an opcode that is then refused
@examples(300, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), end=st.floats(0, 1))
def test_no_damage_gives_another_error(small_files, position, value, end):
    for whole in small_files:
        content = bytearray(whole)
        content[int(position * len(content))] = value
        for damaged in (content, content[: int(end * len(content))]):
            with contextlib.suppress(DataError):
                parse_torch(memoryview(damaged), "x")


STORAGE_2017 = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06NtQ"
TENSOR_2017 = b"ctorch._utils\n_rebuild_tensor\n(" + STORAGE_2017 + b"K\x00K\x02K\x03\x86K\x03K\x01\x86tR"


@pytest.mark.parametrize("call", [b"R", b"\x81"])  # REDUCE, NEWOBJ
def test_parameters_of_2017_in_python_2s_dict(call):
    """As PyTorch 0.1 pickled them: byte strings, pairs in lists, a Parameter with its state."""
    parameter = b"ctorch.nn.parameter\nParameter\n" + TENSOR_2017 + b"\x85" + call + b"\x88\x89N\x87b"
    pairs = b"](](U\x01w" + parameter + b"e](U\x04mean" + TENSOR_2017 + b"ee"
    value, _ = read_pickle(memoryview(b"\x80\x02ccollections\nOrderedDict\n" + pairs + b"\x85R."), "x")
    tensor = torch_pickle.Tensor(torch_pickle.Storage("0", "<f4", 6), 0, (2, 3), (3, 1))
    assert value == {"w": tensor, "mean": tensor}


@pytest.mark.parametrize("items", [b"]U\x02wxa", b"](](U\x01wNU\x01xe](Nee", b"K\x01", b"U\x02ab"])
def test_dict_of_something_other_than_pairs_is_refused(items):
    with pytest.raises(DataError, match="its pickle is damaged"):
        read_pickle(memoryview(b"\x80\x02ccollections\nOrderedDict\n" + items + b"\x85R."), "x")


def test_stream_of_pickles_is_followed_by_its_length():
    first, second = pickle.dumps({"a": [1, 2.5]}, 2), pickle.dumps("next", 2)
    value, length = read_pickle(memoryview(first + second + b"rest"), "x")
    assert (value, length) == ({"a": [1, 2.5]}, len(first))
    assert read_pickle(memoryview(first + second)[length:], "x") == ("next", len(second))
