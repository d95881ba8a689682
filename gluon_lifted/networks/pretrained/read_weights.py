"""Read a weights file as tensors by name. The content decides the format, not the file name."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from gluon_lifted.errors import DataError
from gluon_lifted.networks.pretrained.caffemodel import parse_caffemodel
from gluon_lifted.networks.pretrained.download import MAX_FILE_BYTES
from gluon_lifted.networks.pretrained.onnx_file import ONNX_START, parse_onnx
from gluon_lifted.networks.pretrained.safetensors_file import is_safetensors, read_safetensors
from gluon_lifted.networks.pretrained.torch_file import LEGACY_START, ZIP_MAGIC, parse_torch
from gluon_lifted.params_file import LIST_MAGIC, parse_params

if TYPE_CHECKING:
    from pathlib import Path

# protobuf has no magic number; a file starts with the tag of NetParameter's name (1), layers (2) or layer (100)
CAFFE_STARTS = (b"\x0a", b"\x12", b"\xa2\x06")

Tensors = dict[str, NDArray[Any]]


def read_weights(path: Path) -> tuple[str, Tensors]:
    """Read the tensors of a ``.caffemodel``, ``.onnx``, ``.pth``, ``.safetensors`` or MXNet ``.params`` file.

    Returns
    -------
    format : str
        ``"caffemodel"``, ``"onnx"``, ``"torch"``, ``"safetensors"`` or ``"params"``.
    tensors : dict
        Name in the file -> array, a view of the file where the format allows it.

    Raises
    ------
    DataError
        If the file is missing, damaged, or in none of these formats.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:  # PyTorch's and safetensors files are copied into memory
                raise DataError(f"{path}: has {size:,} bytes; expected weights of at most {MAX_FILE_BYTES:,} bytes.")
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:  # ValueError: an empty file
        reason = error.strerror if isinstance(error, OSError) else "it is empty"
        raise DataError(
            f"{path}: cannot be read ({reason}); expected the name of published weights, or a weights file of Caffe, "
            "ONNX, PyTorch, safetensors or MXNet."
        ) from None
    kind, tensors = _parse(path, content)
    if not tensors:
        raise DataError(f"{path}: contains no tensors; expected the weights of a network.")
    return kind, tensors


def _parse(path: Path, content: memoryview) -> tuple[str, Tensors]:
    start = bytes(content[:16])
    if start.startswith(LIST_MAGIC.to_bytes(8, "little")):
        return "params", parse_params(content, str(path))
    if start.startswith((ZIP_MAGIC, LEGACY_START)):
        return "torch", parse_torch(content, str(path))
    if is_safetensors(content):
        return "safetensors", read_safetensors(path)
    if start.startswith(CAFFE_STARTS):
        return "caffemodel", parse_caffemodel(content, str(path))
    if start.startswith(ONNX_START):
        return "onnx", parse_onnx(content, str(path))
    raise DataError(
        f"{path}: not weights of a known format (it begins with {start!r}); expected a .caffemodel, .onnx, .pth, "
        ".safetensors or .params file."
    )
