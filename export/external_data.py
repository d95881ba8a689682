"""Constants that an ONNX model keeps in a second file, because protobuf limits a file to 2 GiB.

In memory, a model comes with a mapping from their names to arrays. The arrays are views of the parameter file or of the
second file, so that no constant is held twice.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.errors import MalformedModelError
from export.libraries import onnx
from export.reader.limits import map_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALIGNMENT = 4096  # bytes; runtimes map the file, and memory pages start at multiples of it
WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
EXTERNAL = onnx.TensorProto.EXTERNAL

Constants = Mapping[str, NDArray[Any]]
NO_CONSTANTS: Constants = MappingProxyType({})


def external_tensor(name: str, array: NDArray[Any]) -> onnx.TensorProto:
    """Declare an array as a constant with external data; `set_locations` sets where it is."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.TensorProto(name=name, data_type=kind, dims=array.shape, data_location=EXTERNAL)


def external_tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Return the constants of a model that have external data, in order."""
    return [tensor for tensor in model.graph.initializer if tensor.data_location == EXTERNAL]


def set_locations(model: onnx.ModelProto, file_name: str) -> None:
    """Set file, offset and length of the constants, as `data_chunks` writes them."""
    offset = 0
    for tensor in external_tensors(model):
        length = math.prod(tensor.dims) * _dtype(tensor).itemsize
        del tensor.external_data[:]
        for key, value in (("location", file_name), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        offset += length + _padding(length)


def data_chunks(model: onnx.ModelProto, constants: Constants) -> Iterator[memoryview]:
    """Yield the content of the second file: each constant, little endian, padded to `ALIGNMENT`."""
    for tensor in external_tensors(model):
        array = np.ascontiguousarray(constants[tensor.name], _dtype(tensor))
        yield array.reshape(-1).view(np.uint8).data
        yield memoryview(bytes(_padding(array.nbytes)))


def data_file_name(model_name: str, model: onnx.ModelProto, constants: Constants) -> str:
    """Name the second file after its content, so that a model never reads another model's data."""
    digest = hashlib.sha256()
    for chunk in data_chunks(model, constants):
        digest.update(chunk)
    return f"{model_name}.{digest.hexdigest()[:16]}.data"


def is_data_file(name: str, model_name: str) -> bool:
    """Whether a name is one that `data_file_name` gives for this model."""
    return re.fullmatch(re.escape(model_name) + r"\.[0-9a-f]{16}\.data", name) is not None


def map_constants(model: onnx.ModelProto, path: Path) -> Constants:
    """Map the constants of a model's second file into memory.

    Parameters
    ----------
    model : ModelProto
        From `export.model_file.read_model`.
    path : Path
        The model's file.

    Raises
    ------
    MalformedModelError
        If a location is outside the model's folder, a file is missing, or a declared size does not fit.
    """
    files: dict[str, memoryview] = {}
    constants = {}
    for tensor in external_tensors(model):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        relative = PurePosixPath(location)
        if not location or relative.is_absolute() or ".." in relative.parts or "\0" in location:
            raise MalformedModelError(
                f"{path}: keeps its weights in {location!r:.100}, outside its folder. Export the network again."
            )
        if location not in files:
            files[location] = map_file(path.parent / relative)
        constants[tensor.name] = _view(tensor, entries, files[location], f"{path}: constant {tensor.name!r:.100}")
    return constants


def inlined(model: onnx.ModelProto, constants: Constants) -> onnx.ModelProto:
    """Return a copy of a model with all constants inside; the model itself if they already are."""
    if not external_tensors(model):
        return model
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for tensor in external_tensors(whole):
        tensor.CopyFrom(onnx.numpy_helper.from_array(constants[tensor.name], tensor.name))
    return whole


def _view(tensor: onnx.TensorProto, entries: dict[str, str], content: memoryview, where: str) -> NDArray[Any]:
    """Return the constant as a view of its file. Its declared shape, offset and length are compared with the file."""
    dtype, count = _dtype(tensor), math.prod(tensor.dims)
    offset, length = entries.get("offset", "0"), entries.get("length", str(len(content)))
    if not WHOLE_NUMBER.fullmatch(offset) or not WHOLE_NUMBER.fullmatch(length) or min(tensor.dims, default=1) < 0:
        raise MalformedModelError(
            f"{where} declares offset {offset!r:.40} and length {length!r:.40}; expected whole numbers. Export the "
            "network again."
        )
    if int(length) != count * dtype.itemsize or int(offset) + int(length) > len(content):
        raise MalformedModelError(
            f"{where} takes {count * dtype.itemsize:,} bytes, but declares {int(length):,} at offset {int(offset):,} "
            f"of a file of {len(content):,} bytes. Copy both files again, or export the network again."
        )
    return np.frombuffer(content, dtype, count, int(offset)).reshape(tensor.dims)


def _dtype(tensor: onnx.TensorProto) -> np.dtype[Any]:
    known = tensor.data_type in onnx.TensorProto.DataType.values()
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)) if known and tensor.data_type else None
    if dtype is None or dtype.kind not in "fiub":
        raise MalformedModelError(
            f"constant {tensor.name!r:.100} has data type {tensor.data_type}; expected a numeric type of NumPy."
        )
    return dtype.newbyteorder("<")


def _padding(length: int) -> int:
    return -length % ALIGNMENT
