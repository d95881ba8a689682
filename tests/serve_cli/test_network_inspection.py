from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("onnx", reason="export needs onnx")

from serve_cli.network_inspection import inspect_network_files
from tests.export.networks import small_network

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def symbol(tmp_path: Path) -> Path:
    """A network with every kind of layer for 19 px, which its file declares; cut at the input of a last layer."""
    net = small_network()
    net.nodes[0]["attrs"] = {"__shape__": "(1, 3, 19, 19)"}
    (tmp_path / "my net-symbol.json").write_bytes(net.symbol_bytes())
    (tmp_path / "my net-0007.params").write_bytes(net.params_bytes())
    return tmp_path / "my net-symbol.json"


def test_command_exports_the_network(symbol, tmp_path, lifted, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = lifted("inspect", symbol, "--params", tmp_path / "my net-0007.params", "--json")
    assert status == 0, err
    command = json.loads(out)["command"]
    assert command[0] == "lifted"
    assert lifted(*command[1:])[0] == 0
    assert (tmp_path / "my net.onnx").is_file()


def test_facts_say_what_is_a_guess(symbol, tmp_path):
    facts = inspect_network_files(symbol, None).facts()
    assert facts["holds"] == "an MXNet network"
    assert facts["written by"] == "MXNet, version 1.9.1"
    assert facts["operators"].startswith("Convolution x2, Activation x2, Pooling x2, LRN x1")
    assert facts["inputs"] == "data (guessed from names; give --params)"
    assert facts["embedding, a guess"] == "unit: the network does not end in a classifier"
    assert facts["image"] == "3 x 19 x 19 (declared in the file)"
    assert not {"no translator", "labels", "not in --params", "problem"} & set(facts)
    assert f"--params '{tmp_path}/my net-0007.params' --shape data:1,3,19,19 --onnx 'my net.onnx'" in facts["try"]


@pytest.mark.parametrize(("shape", "suggested"), [("3, 19, 19", True), ("3, 19, 20", False), ("1, 19, 19", False)])
def test_card_is_suggested_for_square_images_of_three_channels(symbol, shape, suggested):
    names = symbol.read_text().replace('"conv1"', '"resnetv10_conv0"').replace("3, 19, 19", shape)
    symbol.write_text(names)
    inspection = inspect_network_files(symbol, None)
    assert inspection.inventory.preprocessing.value == "gluoncv"
    assert ("--preprocessing" in inspection.command) == suggested


def test_operators_without_a_translator_are_listed(symbol, tmp_path):
    symbol.write_text(symbol.read_text().replace('"LRN"', '"Strange"'))
    facts = inspect_network_files(symbol, tmp_path / "my net-0007.params").facts()
    assert facts["no translator"] == "Strange (first: norm1)"
    assert "Strange x1" in facts["problem"]


def test_parameters_belong_to_a_network(model, lifted):
    status, _, err = lifted("inspect", model, "--params", model)
    assert status == 1
    assert "give --params only with a -symbol.json" in err


def test_symbol_that_does_not_exist(tmp_path, lifted):
    status, _, err = lifted("inspect", tmp_path / "no-symbol.json", "--params", tmp_path / "no.params")
    assert status == 1
    assert "no such file or folder" in err


def test_json_of_another_kind(tmp_path, lifted):
    (tmp_path / "card.json").write_text("{}")
    status, _, err = lifted("inspect", tmp_path / "card.json")
    assert status == 1
    assert "no list 'nodes'" in err


def test_weights_with_and_without_a_model(symbol, tmp_path, lifted):
    """`lifted export` writes what is asked for: weights, or both."""
    files = ("--symbol", symbol, "--params", tmp_path / "my net-0007.params", "--shape", "data:1,3,19,19")
    weights, model = tmp_path / "w.safetensors", tmp_path / "m.onnx"
    status, out, err = lifted("export", *files, "--weights", weights, "--json")
    assert (status, model.exists()) == (0, False), err
    report = json.loads(out)["weights"]
    assert (report["names"], report["size_bytes"]) == ("MXNet", weights.stat().st_size)
    weights.unlink()
    status, out, err = lifted("export", *files, "--weights", weights, "--onnx", model)
    assert status == 0, err
    assert weights.exists()
    assert model.exists()
    assert "names of MXNet" in " ".join(out.split())
    status, _, err = lifted("export", *files)
    assert status == 2
    assert "give --onnx FILE, --weights FILE or both" in " ".join(err.split())
