"""Read reference.npz: inputs of a network, and what MXNet computed from them.

The file holds these arrays: ``data``, the images, or ``input/<name>`` for each input of a network with other inputs;
one array for each output, named as in the ONNX model (``embedding`` in a run folder); and ``node/<name>``, outputs of
nodes for the first image, which locate errors of a translation.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.errors import MalformedModelError
from export.reader.limits import read_limited
from gluon_lifted.contract import IMAGE_INPUT, MAX_REFERENCE_BYTES

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

INPUT_PREFIX, NODE_PREFIX = "input/", "node/"
NPY_MAGIC = b"\x93NUMPY\x01\x00"
# numpy.lib.format writes a Python literal, always in this form for an array of numbers.
NPY_HEADER = re.compile(
    rb"\{'descr': '([ -&(-~]{1,20})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,18}, ?){0,31}(?:[0-9]{1,18})?)\), \} *\n"
)
ITEM_BYTES = {"<f4": 4, "<f2": 2, "<i4": 4, "<i8": 8, "|i1": 1, "|u1": 1, "|b1": 1}
Array = NDArray[Any]


@dataclass(frozen=True)
class Reference:
    """Inputs and MXNet's outputs for them. Float16 is read as float32.

    Parameters
    ----------
    inputs : dict
        Name -> array. Networks for images have one input, ``data``: normalized images, float32, (n, 3, H, W).
    outputs : dict
        Name -> array, (n, ...).
    nodes : dict
        MXNet's name of a node -> its first output for the first image, (1, ...).
    """

    inputs: dict[str, Array]
    outputs: dict[str, Array]
    nodes: dict[str, Array]

    @property
    def data(self) -> Array:
        """The only input."""
        (array,) = self.inputs.values()
        return array


def read_reference(path: str | os.PathLike[str]) -> Reference:
    """Read a reference file. Raise `MalformedModelError` if it cannot be read, and as `parse_reference` does."""
    path = Path(path)
    return parse_reference(read_limited(path, MAX_REFERENCE_BYTES), str(path))


def parse_reference(content: bytes, where: str) -> Reference:
    """Parse the content of a reference file.

    Parameters
    ----------
    content : bytes
        The npz archive.
    where : str
        Name of the file, for messages.

    Raises
    ------
    MalformedModelError
        If the file is not an npz archive, an array is missing, not float32 or float16, not finite or of the wrong
        shape, or the arrays exceed `MAX_REFERENCE_BYTES`. Nothing is unpickled, and declared sizes are verified.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = {
                name.removesuffix(".npy"): _array(raw, f"{where}: {name!r:.100}") for name, raw in _unpack(archive)
            }
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise MalformedModelError(
            f"{where}: not a readable .npz file ({error!s:.200}). Give a file of `lifted reference`."
        ) from None
    nodes = {name.removeprefix(NODE_PREFIX): array for name, array in arrays.items() if name.startswith(NODE_PREFIX)}
    inputs = {name.removeprefix(INPUT_PREFIX): array for name, array in arrays.items() if _is_input(name)}
    outputs = {
        name: array for name, array in arrays.items() if not _is_input(name) and not name.startswith(NODE_PREFIX)
    }
    if not inputs or not outputs:
        raise MalformedModelError(
            f"{where}: contains {', '.join(arrays) or 'nothing'!s:.200}; expected data and at least one output."
        )
    reference = Reference(inputs, outputs, nodes)
    _check(reference, where)
    return reference


def _is_input(name: str) -> bool:
    return name == IMAGE_INPUT or name.startswith(INPUT_PREFIX)


def _unpack(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if size > MAX_REFERENCE_BYTES:
        raise ValueError(f"it has {size:,} bytes unpacked; the limit is {MAX_REFERENCE_BYTES:,}")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise ValueError("its compression is not one that NumPy uses")
    for member in members:
        yield member.filename, archive.read(member)


def _array(content: bytes, where: str) -> Array:
    """Parse a ``.npy`` file of version 1.0 and compare its declared size with its content."""
    start = 10 + int.from_bytes(content[8:10], "little")  # magic, version, header length, header
    header = NPY_HEADER.fullmatch(content[10:start])
    if not content.startswith(NPY_MAGIC) or header is None:
        raise MalformedModelError(f"{where} is not an array in NumPy's format.")
    dtype, order, axes = (part.decode() for part in header.groups())
    if dtype not in ITEM_BYTES:
        raise MalformedModelError(
            f"{where} has the type {dtype!r}; expected a type of numbers, such as '<f4' (float32)."
        )
    shape = tuple(int(length) for length in axes.split(",") if length.strip())
    if math.prod(shape) * ITEM_BYTES[dtype] != len(content) - start:
        raise MalformedModelError(f"{where} declares the shape {shape!s:.100} but has {len(content) - start:,} bytes.")
    flat = np.frombuffer(content, dtype, offset=start)
    array: Array = flat.reshape(shape, order="F" if order == "True" else "C")
    return array.astype(np.float32) if dtype == "<f2" else array


def _check(reference: Reference, where: str) -> None:
    arrays = {**reference.inputs, **reference.outputs}
    for name, array in arrays.items():
        if array.size == 0 or array.ndim == 0:
            raise MalformedModelError(
                f"{where}: {name!r:.100} has the shape {array.shape}; expected numbers for each image."
            )
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise MalformedModelError(
            f"{where}: data or outputs contain NaN or infinity, so the network cannot be verified. Record it again."
        )
