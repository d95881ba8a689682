"""Random inputs of networks with several inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.contract import SavedNetwork
from gluon_lifted.errors import DataError
from gluon_lifted.networks.random_inputs import random_inputs
from tests.export.mxnet_files import Net

if TYPE_CHECKING:
    from pathlib import Path

WEIGHT = np.zeros((7, 3), np.float32)
SHAPES = {"words": (40, 5), "lengths": (40,), "flags": (40, 2), "numbers": (40, 3)}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, np.ndarray]:
    net = Net()
    words = net.op("Cast", "cast", [net.variable("words")], {"dtype": "int32"})
    embedded = net.op(
        "Embedding", "embedded", [words, net.variable("weight", WEIGHT)], {"input_dim": "7", "output_dim": "3"}
    )
    lengths = net.variable("lengths")
    attrs = {"use_sequence_length": "True", "axis": "1"}
    masked = net.op("SequenceMask", "masked", [embedded, lengths], attrs)
    total = net.op("sum", "total", [masked], {"axis": "1"})
    net.op("Concat", "all", [total, net.variable("flags"), net.variable("numbers")], {"num_args": "3"})
    network = SavedNetwork(tmp_path / "net-symbol.json", tmp_path / "net-0000.params")
    network.symbol.write_bytes(net.symbol_bytes())
    return random_inputs(network, SHAPES, {"flags": np.dtype("int32")})


def test_a_shape_that_no_operator_takes_is_an_error_of_ours(tmp_path: Path) -> None:
    net = Net()
    attrs = {"kernel": "(3, 3)", "num_filter": "4"}
    net.op("Convolution", "conv", [net.variable("data"), net.variable("weight", np.zeros((4, 3, 3, 3)))], attrs)
    network = SavedNetwork(tmp_path / "net-symbol.json", tmp_path / "net-0000.params")
    network.symbol.write_bytes(net.symbol_bytes())
    with pytest.raises(DataError, match=r"MXNet cannot run this network .*Check --shape"):
        random_inputs(network, {"data": (1, 3, 16)}, {})


def test_indices_are_below_the_vocabulary(inputs: dict[str, np.ndarray]) -> None:
    assert set(inputs["words"].ravel()) == set(range(7))
    assert inputs["words"].dtype == np.float32


def test_lengths_are_those_of_the_sequences(inputs: dict[str, np.ndarray]) -> None:
    assert set(inputs["lengths"]) == {1, 2, 3, 4, 5}


def test_others_are_numbers_of_their_type(inputs: dict[str, np.ndarray]) -> None:
    assert set(inputs["flags"].ravel()) == {0, 1}
    assert inputs["flags"].dtype == np.int32
    assert len(set(inputs["numbers"].ravel())) == 120
    assert {name: array.shape for name, array in inputs.items()} == SHAPES
