"""Read tensors that an ONNX file keeps in other files into the model."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from export.adopt.graph_edits import tensors
from export.errors import MalformedModelError
from export.graph.model import MAX_MODEL_BYTES
from export.libraries import onnx

if TYPE_CHECKING:
    from pathlib import Path

DIGITS = 18  # of a position or a size in bytes


def read_external_data(model: onnx.ModelProto, path: Path) -> None:
    """Move external data into a model, in place.

    Parameters
    ----------
    path : Path
        The model's file. PyTorch writes large tensors beside it, into ``model.onnx.data``.

    Raises
    ------
    MalformedModelError
        If a file is missing, too short or outside the model's folder, or all together take more than 2 GiB.
    """
    total = 0
    for tensor in tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        if not total:
            total = model.ByteSize()
        try:
            content = _content(tensor, path, MAX_MODEL_BYTES - total)
        except OSError as error:
            raise MalformedModelError(f"{path}: the file with its weights cannot be read ({error.strerror}).") from None
        total += len(content)
        tensor.raw_data = content
        tensor.ClearField("data_location")
        del tensor.external_data[:]


def _content(tensor: onnx.TensorProto, path: Path, room: int) -> bytes:
    """Read a tensor of at most ``room`` bytes."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    file = _beside(path, entries.get("location", ""))
    start, size = _part(entries, file, path)
    if size > room:
        raise MalformedModelError(
            f"{path}: larger than {MAX_MODEL_BYTES:,} bytes together with its weights, the limit of an ONNX file. "
            "Convert the network to float16 first."
        )
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(size)


def _beside(path: Path, name: object) -> Path:
    """Return the path of a weights file."""
    if (
        not isinstance(name, str)
        or "\0" in name
        or PurePosixPath(name).is_absolute()
        or ".." in PurePosixPath(name).parts
    ):
        raise MalformedModelError(f"{path}: keeps its weights in {name!r:.200}, outside its folder. Export it again.")
    file = path.parent / name
    if not file.is_file():
        raise MalformedModelError(
            f"{path}: the file with its weights, {file}, is missing. Copy both files to the same folder."
        )
    return file


def _part(entries: dict[str, str], file: Path, path: Path) -> tuple[int, int]:
    """Return position and size of a tensor in a weights file."""
    available = file.stat().st_size
    start = _number(entries.get("offset", "0"))
    size = _number(entries["length"]) if "length" in entries else available - start
    if start < 0 or size < 0 or start + size > available:
        raise MalformedModelError(
            f"{path}: needs {size:,} bytes at offset {start:,} of {file}, which has {available:,} bytes. Copy both "
            "files again."
        )
    return start, size


def _number(text: object) -> int:
    """Parse an integer of decimal digits; -1 for any other text."""
    digits = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= DIGITS
    return int(str(text)) if digits else -1
