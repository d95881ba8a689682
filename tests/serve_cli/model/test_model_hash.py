from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.errors import RunError
from serve_cli.model.model_hash import external_data, model_sha256
from tests.examples import examples
from tests.serve_cli.tiny_model import CARD as TINY
from tests.serve_cli.tiny_model import (
    Oddity,
    block,
    number,
    tensor,
    text,
    weight,
    write_model,
)

if TYPE_CHECKING:
    from pathlib import Path

MATRIX = weight(TINY)[:2]


def test_a_model_in_one_file_has_the_hash_of_the_file(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx")
    assert external_data(model) == []
    assert model_sha256(model) == hashlib.sha256(model.read_bytes()).hexdigest()


def test_external_weights_are_part_of_the_hash_and_the_model_s_name_is_not(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx", odd=Oddity(weights_file="w.bin"))
    before = model_sha256(model)
    assert model_sha256(model.rename(tmp_path / "other.onnx")) == before
    content = bytearray((tmp_path / "w.bin").read_bytes())
    content[5] ^= 1
    (tmp_path / "w.bin").write_bytes(content)
    assert model_sha256(tmp_path / "other.onnx") != before


def wherever_a_tensor_can_be() -> dict[str, bytes]:
    """Models with external data, by where the tensor is in them; field numbers as in onnx.proto."""
    one = tensor("w", MATRIX, "there.bin")
    attribute = block(5, text(1, "value") + block(5, one))
    inner = block(5, text(1, "body") + block(6, block(5, one)))
    return {
        "initializer": block(7, block(5, one)),
        "sparse initializer": block(7, block(15, block(1, one))),
        "constant node": block(7, block(1, text(4, "Constant") + attribute)),
        "tensors of an attribute": block(7, block(1, block(5, block(10, one)))),
        "subgraph": block(7, block(1, text(4, "If") + inner)),
        "subgraphs of an attribute": block(7, block(1, block(5, block(11, block(5, one))))),
        "sparse tensor of an attribute": block(7, block(1, block(5, block(22, block(2, one))))),
        "function": block(25, block(7, text(4, "Constant") + attribute)),
        "training": block(20, block(2, block(5, one))),
    }


@pytest.mark.parametrize("where", wherever_a_tensor_can_be())
def test_external_data_is_found_wherever_a_tensor_can_be(tmp_path: Path, where: str) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(number(1, 8) + wherever_a_tensor_can_be()[where])
    assert external_data(model) == ["there.bin"]


def test_missing_and_outside(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx", odd=Oddity(weights_file="w.bin"))
    (tmp_path / "w.bin").unlink()
    with pytest.raises(RunError, match=r"w\.bin is missing; copy both"):
        model_sha256(model)
    for name in ("../w.bin", "/etc/passwd", "a/../../w.bin"):
        model.write_bytes(block(7, block(5, tensor("w", MATRIX, name))))
        with pytest.raises(RunError, match="outside the model's folder"):
            model_sha256(model)
    with pytest.raises(RunError, match="expected an ONNX model"):
        model_sha256(tmp_path)


@examples(100)
@given(st.binary(max_size=200))
def test_any_bytes_have_a_hash(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    model = tmp_path_factory.mktemp("any") / "m.onnx"
    model.write_bytes(content)
    if not external_data(model):
        assert model_sha256(model) == hashlib.sha256(content).hexdigest()


@examples(100)
@given(st.data())
def test_a_cut_off_or_changed_model_is_read_without_an_exception(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    content = bytearray(write_model(folder / "m.onnx", odd=Oddity(weights_file="w.bin")).read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "m.onnx").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    assert all(isinstance(name, str) for name in external_data(folder / "m.onnx"))
