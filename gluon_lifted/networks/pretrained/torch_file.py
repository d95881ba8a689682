"""Read the tensors of a ``.pth`` file, in both formats of `torch.save`.

Since PyTorch 1.6 it is an uncompressed ZIP archive: ``<name>/data.pkl``, the pickle; ``<name>/data/<key>``, the
storages; ``<name>/byteorder``. Before (torchvision's googlenet of 2019) it is a sequence of pickles: a magic number,
the version 1001, system information, the object, the storages' keys; then each storage in that order: int64 number
of elements, elements (``torch/serialization.py``: ``_legacy_save``).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from gluon_lifted.cursor import Cursor
from gluon_lifted.errors import DataError
from gluon_lifted.networks.pretrained.torch_pickle import (
    MAX_PICKLE_BYTES,
    Storage,
    Tensor,
    read_pickle,
)

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # MAGIC_NUMBER in torch/serialization.py
LEGACY_START = b"\x80\x02\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little")  # its pickle: protocol 2, LONG1 of 10 bytes
LEGACY_VERSION = 1001

Storages = dict[str, NDArray[Any]]


def parse_torch(content: memoryview, where: str) -> dict[str, NDArray[Any]]:
    """Read the tensors of a ``state_dict`` that `torch.save` wrote.

    Parameters
    ----------
    content : memoryview
        Content of the file.
    where : str
        Name of the file, for messages.

    Returns
    -------
    dict
        Name -> array: a read-only view with the tensor's strides.

    Raises
    ------
    DataError
        If the file holds anything but tensors by name, or its sizes contradict each other.
    """
    tensors, storages = (_read_zip if content[:4] == ZIP_MAGIC else _read_legacy)(content, where)
    return {name: _view(tensor, storages, f"{where}: tensor {name!r:.100}") for name, tensor in tensors.items()}


def _named_tensors(value: Any, where: str) -> dict[str, Tensor]:
    if not isinstance(value, dict) or not all(isinstance(tensor, Tensor) for tensor in value.values()):
        raise DataError(f"{where}: contains more than named tensors. Save only the network's state_dict().")
    return {str(name): tensor for name, tensor in value.items()}


def _read_zip(content: memoryview, where: str) -> tuple[dict[str, Tensor], Storages]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
            if len(roots) != 1:
                raise DataError(
                    f"{where}: a ZIP archive, but not written by torch.save, since it contains {len(roots)} data.pkl, "
                    "not one."
                )
            _check_members(members, len(content), where)
            if roots[0] + "byteorder" in members and archive.read(roots[0] + "byteorder") != b"little":
                raise DataError(f"{where}: written on a big-endian system; expected a little-endian file.")
            tensors = _named_tensors(read_pickle(memoryview(archive.read(roots[0] + "data.pkl")), where)[0], where)
            storages = {
                storage.key: np.frombuffer(archive.read(f"{roots[0]}data/{storage.key}"), storage.dtype)
                for storage in _distinct_storages(tensors, where)
            }
    except (zipfile.BadZipFile, KeyError, EOFError, RuntimeError, ValueError, zlib.error) as error:
        raise DataError(f"{where}: the archive is damaged ({error!s:.200}).") from None
    return tensors, storages


def _check_members(members: dict[str, zipfile.ZipInfo], size: int, where: str) -> None:
    """Refuse archives that expand when read: compressed members, or more content than the file has bytes."""
    compressed = any(info.compress_type != zipfile.ZIP_STORED for info in members.values())
    total = sum(info.file_size for info in members.values())
    pickle = max(info.file_size for name, info in members.items() if name.endswith("/data.pkl"))
    if compressed or total > size or pickle > MAX_PICKLE_BYTES:
        raise DataError(
            f"{where}: a ZIP archive, but not written by torch.save, since it is compressed or its sizes are wrong."
        )


def _read_legacy(content: memoryview, where: str) -> tuple[dict[str, Tensor], Storages]:
    values, position = [], 0
    for _ in range(5):
        value, length = read_pickle(content[position:], where)
        values.append(value)
        position += length
    magic, version, system, tensors, keys = values
    little = isinstance(system, dict) and system.get("little_endian") is True
    if magic != LEGACY_MAGIC or version != LEGACY_VERSION or not little or not isinstance(keys, list):
        raise DataError(
            f"{where}: a pickle, but not written by torch.save in version {LEGACY_VERSION} on a little-endian system."
        )
    named = _named_tensors(tensors, where)
    known = {storage.key: storage for storage in _distinct_storages(named, where)}
    cursor, storages = Cursor(content[position:], where), {}
    for key in keys:
        if not isinstance(key, str) or key not in known:
            raise cursor.damaged(f"storage {key!r:.100} does not belong to a tensor")
        dtype = np.dtype(known[key].dtype)
        (size,) = cursor.numbers("<Q", "a storage's size")
        storages[key] = np.frombuffer(cursor.take(size * dtype.itemsize, f"storage {key!r:.100}"), dtype)
    return named, storages


def _distinct_storages(tensors: dict[str, Tensor], where: str) -> list[Storage]:
    """List the distinct storages of all tensors. Tensors that share a storage must agree on its type and size."""
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if any(storages[tensor.storage.key] != tensor.storage for tensor in tensors.values()):
        raise DataError(f"{where}: two tensors disagree on the storage that they share. The file is damaged.")
    return list(storages.values())


def _view(tensor: Tensor, storages: Storages, where: str) -> NDArray[Any]:
    """View a tensor in its storage, after checking that it fits."""
    storage = storages.get(tensor.storage.key)
    if storage is None or storage.size != tensor.storage.size:
        raise DataError(f"{where} has a storage whose size differs from the declared one. The file is damaged.")
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min(tensor.shape, default=1) < 1 or last >= storage.size:
        raise DataError(f"{where} of shape {tensor.shape!s:.100} does not fit into its storage. The file is damaged.")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    return as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)
