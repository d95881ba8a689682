import json
import struct
import sys

import numpy as np
import pytest

pytest.importorskip("safetensors", reason="safetensors is not installed")

from gluon_lifted.errors import DataError, MissingPackageError
from gluon_lifted.networks.pretrained.safetensors_file import is_safetensors, read_safetensors


def file_of(header, data):
    """By the format's description: uint64 length of the header, the header as JSON, the data."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


ARRAY = np.arange(6, dtype="<f4").reshape(2, 3)
ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def test_tensors_come_back_exactly(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(file_of({"__metadata__": {"format": "pt"}, "conv1.conv.weight": ENTRY}, ARRAY.tobytes()))
    assert is_safetensors(memoryview(path.read_bytes()))
    tensors = read_safetensors(path)
    assert list(tensors) == ["conv1.conv.weight"]
    assert tensors["conv1.conv.weight"].dtype == np.float32
    np.testing.assert_array_equal(tensors["conv1.conv.weight"], ARRAY)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"w": ENTRY | {"data_offsets": [0, 2**40]}}, ARRAY.tobytes()),
        ({"w": ENTRY | {"shape": [2, 2]}}, ARRAY.tobytes()),
        ({"w": ENTRY | {"dtype": "F99"}}, ARRAY.tobytes()),
        ({"w": ENTRY}, ARRAY.tobytes()[:-1]),
        ({"w": ENTRY}, ARRAY.tobytes() + b"\0"),
        ({"w": ENTRY, "v": ENTRY}, ARRAY.tobytes()),
        ({"w": 3}, b""),
    ],
)
def test_damaged_file_is_refused_by_name(tmp_path, header, data):
    path = tmp_path / "x.safetensors"
    path.write_bytes(file_of(header, data))
    with pytest.raises(DataError, match=r"x\.safetensors: cannot be read as safetensors"):
        read_safetensors(path)


@pytest.mark.parametrize("content", [b"", b"short", struct.pack("<Q", 10**9) + b"{}", struct.pack("<Q", 2) + b"[]"])
def test_other_files_are_not_taken_for_it(content):
    assert not is_safetensors(memoryview(content))


def test_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingPackageError, match="safetensors is not installed"):
        read_safetensors(tmp_path / "x.safetensors")
