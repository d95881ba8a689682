"""Write symbol JSON, .params and run folders as MXNet does, without MXNet."""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.card import ModelCard
from gluon_lifted.images import Preprocessing

if TYPE_CHECKING:
    from pathlib import Path

TYPE_FLAGS = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6, "bool": 7}
MAGICS = {"V1": 0xF993FAC8, "V2": 0xF993FAC9, "V3": 0xF993FACA}


class Net:
    """A network in the making; an index of a node is what later nodes take as input."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.params: dict[str, np.ndarray] = {}
        self.heads: list[list[int]] = []  # outputs, [node, output, 0]; the last node if empty

    def variable(self, name: str, array: np.ndarray | None = None) -> int:
        if array is not None:
            self.params[name] = array
        return self._append({"op": "null", "name": name, "inputs": []})

    def op(self, op: str, name: str, inputs: list[int], attrs: dict[str, str] | None = None) -> int:
        node: dict[str, Any] = {"op": op, "name": name, "inputs": [[index, 0, 0] for index in inputs]}
        return self._append(node | ({"attrs": attrs} if attrs else {}))

    def _append(self, node: dict[str, Any]) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def symbol(self) -> dict[str, Any]:
        """The symbol, whose output is the last node unless others are given."""
        return {
            "nodes": self.nodes,
            "arg_nodes": [index for index, node in enumerate(self.nodes) if node["op"] == "null"],
            "node_row_ptr": list(range(len(self.nodes) + 1)),
            "heads": self.heads or [[len(self.nodes) - 1, 0, 0]],
            "attrs": {"mxnet_version": ["int", 10901]},
        }

    def symbol_bytes(self) -> bytes:
        return json.dumps(self.symbol()).encode()

    def params_bytes(self) -> bytes:
        prefixed = {("aux:" if "moving" in name else "arg:") + name: array for name, array in self.params.items()}
        return params_bytes(prefixed)


def array_bytes(array: np.ndarray, version: str = "V2") -> bytes:
    axes = array.ndim
    if version == "legacy":
        head = struct.pack(f"<I{axes}I", axes, *array.shape)
    else:
        storage = struct.pack("<i", 0) if version != "V1" else b""
        head = struct.pack("<I", MAGICS[version]) + storage + struct.pack(f"<i{axes}q", axes, *array.shape)
    return head + struct.pack("<iii", 1, 0, TYPE_FLAGS[str(array.dtype)]) + array.tobytes()


def params_bytes(arrays: dict[str, np.ndarray], version: str = "V2") -> bytes:
    content = struct.pack("<QQQ", 0x112, 0, len(arrays))
    content += b"".join(array_bytes(array, version) for array in arrays.values())
    content += struct.pack("<Q", len(arrays))
    return content + b"".join(struct.pack("<Q", len(name.encode())) + name.encode() for name in arrays)


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def card(crop: int, dim: int) -> ModelCard:
    preprocessing = Preprocessing(resize=crop, crop=crop)
    return ModelCard("small", "small", dim, False, preprocessing, dataset="none", loss="none")


def write_run(folder: Path, net: Net, reference: dict[str, np.ndarray]) -> Path:
    """A run folder; crop and dim of its card are those of the reference."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model-symbol.json").write_bytes(net.symbol_bytes())
    (folder / "model-0000.params").write_bytes(net.params_bytes())
    (folder / "reference.npz").write_bytes(npz_bytes(reference))
    crop, dim = reference["data"].shape[2], reference["embedding"].shape[1]
    (folder / "card.json").write_text(card(crop, dim).to_json())
    return folder
