"""Writers of the formats of others, by their public descriptions. None of the code under test is used."""

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from unittest.mock import patch

import numpy as np
import pytest

from tests.gluon_lifted.networks.pretrained.web_host import Host

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def number_field(number, value):
    return varint(number << 3) + varint(value)


def blob(array, legacy):
    if legacy:
        shape = (1,) * (4 - array.ndim) + array.shape
        head = b"".join(number_field(index + 1, size) for index, size in enumerate(shape))
    else:
        head = message(7, message(1, b"".join(map(varint, array.shape))))
    wide = array.dtype == np.float64
    return head + message(8 if wide else 5, array.astype("<f8" if wide else "<f4").tobytes())


@pytest.fixture(scope="session")
def write_caffemodel():
    """(path, {layer: [arrays]}, legacy): a NetParameter of layers = 2 (legacy) or layer = 100."""

    def write(path, layers, legacy=False):
        content = message(1, b"a network")
        for name, arrays in layers.items():
            fields = message(4, name.encode()) if legacy else message(1, name.encode()) + message(2, b"Convolution")
            fields += b"".join(message(6 if legacy else 7, blob(array, legacy)) for array in arrays)
            content += message(2 if legacy else 100, fields)
        path.write_bytes(content)

    return write


class Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


class Tensor:
    """Pickles as torch.Tensor does."""

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


def fake_torch():
    """Modules with the names that PyTorch's pickles hold, for the writer's own pickler."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "DoubleStorage", "HalfStorage", "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_):
        """Never called."""

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    return {"torch": torch, "torch._utils": utils}


def torch_pickle(value, legacy=False):
    """A pickle as torch.save writes it."""
    modules = fake_torch()
    classes = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage"}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Storage):
                return None
            kind = getattr(modules["torch"], classes[value.array.dtype.str[1:]])
            return ("storage", kind, value.key, "cpu", value.array.size, *((None,) if legacy else ()))

    with patch.dict(sys.modules, modules):
        file = io.BytesIO()
        Pickler(file, protocol=2).dump(value)
        return file.getvalue()


def tensors_of(arrays):
    """{name: Tensor}, and their storages. Each array has a storage of its own."""
    state, storages = OrderedDict(), []
    for index, (name, array) in enumerate(arrays.items()):
        storages.append(Storage(str(index), np.ascontiguousarray(array).reshape(-1)))
        strides = tuple(stride // array.itemsize for stride in np.ascontiguousarray(array).strides)
        state[name] = Tensor(storages[-1], 0, array.shape, strides[: array.ndim])
    state._metadata = OrderedDict(version=1)  # as Module.state_dict has it: pickled with BUILD
    return state, storages


@pytest.fixture(scope="session")
def write_torch():
    """(path, arrays, legacy) or (path, state=..., storages=...): a file of torch.save."""

    def write(path, arrays=None, legacy=False, state=None, storages=()):
        if arrays is not None:
            state, storages = tensors_of(arrays)
        if legacy:
            facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
            with path.open("wb") as file:
                for value in (MAGIC_NUMBER, 1001, facts, state, [storage.key for storage in storages]):
                    file.write(torch_pickle(value, legacy=True))
                for storage in storages:
                    file.write(struct.pack("<q", storage.array.size) + storage.array.tobytes())
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", torch_pickle(state))
                archive.writestr("archive/byteorder", "little")
                for storage in storages:
                    archive.writestr(f"archive/data/{storage.key}", storage.array.tobytes())
                archive.writestr("archive/version", "3\n")

    return write


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A web server for weights; every cache is below ``tmp_path``."""
    for name in ("MXNET_HOME", "ONNX_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Host() as server:
        yield server


@pytest.fixture
def hub_host(host, tmp_path, monkeypatch):
    """The same server as the Hugging Face hub; the hub's cache is below ``tmp_path``."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="huggingface_hub is not installed")
    monkeypatch.setenv("HF_ENDPOINT", host.url.rstrip("/"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return host
