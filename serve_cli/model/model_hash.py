"""Identify a model by the SHA-256 of its file and of the files with its external data."""

from __future__ import annotations

import hashlib
import mmap
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gluon_lifted.errors import RunError
from serve_cli.path_kinds import wrong_kind
from serve_cli.provenance import sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The messages of onnx.proto3 on the way to external data: field number -> message.
SUBMESSAGES: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},  # external_data
    "Entry": {},
}
ENTRY_KEY, ENTRY_VALUE = 1, 2
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types of Protocol Buffers
FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
MOST_FIELDS = 5_000_000  # a network has thousands


def model_sha256(model: Path) -> str:
    """Compute the SHA-256 of a model in hexadecimal: of its file, or of the hashes of its file and external data.

    Raises
    ------
    RunError
        If the file is missing, or a file of external data is missing or outside the model's folder.
    """
    if not model.is_file():
        raise RunError(wrong_kind(model, "model"))
    names = external_data(model)
    if not names:
        return sha256(model)
    digest = hashlib.sha256(sha256(model).encode())
    for name in names:
        path = model.parent / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise RunError(f"{model}: its weights are in {name!r:.200}, outside the model's folder; export it again.")
        if not path.is_file():
            raise RunError(f"{model}: its weights file {path} is missing; copy both to the same folder.")
        digest.update(f"\n{name}\0{sha256(path)}".encode())
    return digest.hexdigest()


def model_bytes(model: Path) -> int:
    """Return the size of a model's file and of the files with its external data."""
    return sum(file.stat().st_size for file in (model, *(model.parent / name for name in external_data(model))))


def external_data(model: Path) -> list[str]:
    """List the names of the files that hold tensors of a model, sorted; empty for a file that is not ONNX.

    The serving environment has no `onnx` package, so the protobuf messages are parsed here. Only fields with a length
    matter.
    """
    with model.open("rb") as file:
        if not file.read(1):
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return sorted(set(_locations(content)))
            except (ValueError, IndexError, UnicodeDecodeError):
                return []  # onnxruntime reports what is wrong with it


def _locations(content: mmap.mmap) -> Iterator[str]:
    pending, fields = [("Model", 0, len(content))], 0
    while pending:
        message, start, end = pending.pop()
        entry: dict[int, bytes] = {}
        for number, first, last in _length_delimited(content, start, end):
            fields += 1
            if fields > MOST_FIELDS:
                raise ValueError("too many fields")
            if (inner := SUBMESSAGES[message].get(number)) is not None:
                pending.append((inner, first, last))
            elif message == "Entry":
                entry[number] = content[first:last]
        if entry.get(ENTRY_KEY) == b"location":
            yield entry.get(ENTRY_VALUE, b"").decode()


def _length_delimited(content: mmap.mmap, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each length-delimited field of a message."""
    while position < end:
        tag, position = _varint(content, position)
        number, kind = tag >> 3, tag & 7
        if kind == BYTES:
            length, position = _varint(content, position)
            if length > end - position:
                raise ValueError("a field is longer than its message")
            yield number, position, position + length
            position += length
        elif kind == VARINT:
            _, position = _varint(content, position)
        else:
            position += FIXED_SIZES.get(kind) or _refuse(kind)


def _varint(content: mmap.mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number has more than 64 bits")


def _refuse(kind: int) -> int:
    raise ValueError(f"ONNX does not use wire type {kind}")
