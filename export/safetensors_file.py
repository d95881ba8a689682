"""Write ``.safetensors`` files: uint64 length of a header, the header as JSON, the arrays one after the other.

The format is documented at https://huggingface.co/docs/safetensors. The arrays are not copied.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from export.errors import MalformedModelError
from gluon_lifted.errors import ConfigError
from gluon_lifted.files import replaced_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

DTYPES = {"f4": "F32", "f8": "F64", "f2": "F16", "u1": "U8", "i4": "I32", "i1": "I8", "i8": "I64", "b1": "BOOL"}
METADATA = "__metadata__"  # the key in the header that is not a tensor
ALIGNMENT = 8  # bytes; of the first array


def write_safetensors(path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> int:
    """Write arrays by name, whole or not at all, with missing parent folders. Return the size of the file in bytes.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    MalformedModelError
        If an array has the name of the metadata.
    """
    if METADATA in tensors:
        raise MalformedModelError(f"{path}: a parameter is named {METADATA}, which safetensors reserves. Rename it.")
    arrays = dict(sorted(tensors.items(), key=lambda item: -item[1].itemsize))  # keeps every array aligned
    header: dict[str, object] = {METADATA: dict(metadata)}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": DTYPES[array.dtype.str[1:]], "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(path) as temporary, temporary.open("wb") as file:
            file.write(len(text).to_bytes(ALIGNMENT, "little") + text)
            file.writelines(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays.values())
            file.flush()
            size = file.tell()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}).") from None
    return size
