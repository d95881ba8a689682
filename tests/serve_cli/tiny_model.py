"""A model of one matrix product, written as protobuf by hand: the tests of serving need no `onnx` package.

Field numbers are those of onnx.proto (IR version 8).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY
from gluon_lifted.images import Preprocessing

if TYPE_CHECKING:
    from pathlib import Path

FLOAT = 1  # TensorProto.DataType
CARD = ModelCard(
    name="tiny",
    backbone="linear",
    dim=8,
    normalized=False,
    preprocessing=Preprocessing(resize=20, crop=16),
    dataset="none",
    loss="none",
    provenance={"iterations": "0"},
)


def weight(card: ModelCard) -> np.ndarray:
    """(3 * crop * crop, dim) float32."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.05, (3 * card.preprocessing.crop**2, card.dim)).astype(np.float32)


@dataclass(frozen=True)
class Oddity:
    """What is wrong with a model; by default, nothing."""

    metadata: dict[str, str] | None = None  # instead of the card
    input_name: str = "data"
    output_name: str = "embedding"
    batch: int | str = "N"
    crop: int | None = None  # of the input, instead of the card's
    output_dim: str | None = None  # name of a size left open, instead of the size
    weights_file: str | None = None  # holds the matrix (external data), instead of the model


def write_model(path: Path, card: ModelCard = CARD, odd: Oddity = Oddity()) -> Path:
    """Write ``embedding = flatten(data) @ weight``."""
    crop = odd.crop or card.preprocessing.crop
    sized = replace(card, preprocessing=replace(card.preprocessing, resize=max(crop, 20), crop=crop))
    matrix = weight(sized)
    graph = (
        node("Flatten", [odd.input_name], ["flat"])
        + node("MatMul", ["flat", "weight"], [odd.output_name])
        + text(2, "tiny")
        + block(5, tensor("weight", matrix, odd.weights_file))
        + block(11, value(odd.input_name, [odd.batch, 3, crop, crop]))
        + block(12, value(odd.output_name, [odd.batch, odd.output_dim or weight(sized).shape[1]]))
    )
    metadata = {CARD_KEY: card.to_json()} if odd.metadata is None else odd.metadata
    properties = b"".join(block(14, text(1, key) + text(2, content)) for key, content in metadata.items())
    opset = block(8, text(1, "") + number(2, 13))
    if odd.weights_file is not None:
        path.with_name(odd.weights_file).write_bytes(matrix.tobytes())
    path.write_bytes(number(1, 8) + text(2, "tests") + opset + block(7, graph) + properties)
    return path


def node(op: str, inputs: list[str], outputs: list[str]) -> bytes:
    content = b"".join(text(1, name) for name in inputs) + b"".join(text(2, name) for name in outputs)
    return block(1, content + text(4, op))


def tensor(name: str, array: np.ndarray, file: str | None = None) -> bytes:
    described = b"".join(number(1, size) for size in array.shape) + number(2, FLOAT) + text(8, name)
    if file is None:
        return described + block(9, array.tobytes())
    return described + block(13, text(1, "location") + text(2, file)) + number(14, 1)


def value(name: str, shape: list[int | str]) -> bytes:
    sizes = b"".join(block(1, number(1, size) if isinstance(size, int) else text(2, size)) for size in shape)
    return text(1, name) + block(2, block(1, number(1, FLOAT) + block(2, sizes)))


def number(field: int, content: int) -> bytes:
    return varint(field << 3) + varint(content)


def block(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def text(field: int, content: str) -> bytes:
    return block(field, content.encode())


def varint(content: int) -> bytes:
    low = b""
    while content > 127:
        low += bytes([content & 127 | 128])
        content >>= 7
    return low + bytes([content])
