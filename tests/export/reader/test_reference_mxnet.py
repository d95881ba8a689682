"""From MXNet's two files to a reference, and from there to a proof."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from typing import TYPE_CHECKING

from export import N, NetworkInputs, ParityError, export_network, read_reference
from gluon_lifted.contract import SavedNetwork
from gluon_lifted.errors import DataError
from gluon_lifted.networks import reference as reference_module
from gluon_lifted.networks.reference import write_reference
from serve_cli.cli.main import app
from tests.export.mxnet_files import Net, npz_bytes
from tests.export.networks import (
    CROP,
    DIM,
    small_network,
    small_reference,
)

if TYPE_CHECKING:
    from pathlib import Path

ROW = (3, CROP, CROP)
INPUTS = NetworkInputs({"data": (N, *ROW)})


def save(net: Net, folder: Path) -> SavedNetwork:
    (folder / "net-symbol.json").write_bytes(net.symbol_bytes())
    (folder / "net-0000.params").write_bytes(net.params_bytes())
    return SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params")


def test_what_mxnet_computes(tmp_path: Path) -> None:
    net = small_network()
    expected = small_reference(net)
    assert write_reference(save(net, tmp_path), {"data": expected["data"]}, tmp_path / "r.npz") == ["unit_output"]
    reference = read_reference(tmp_path / "r.npz")
    np.testing.assert_array_equal(reference.data, expected["data"])
    np.testing.assert_allclose(reference.outputs["unit_output"], expected["embedding"], atol=1e-5)
    for name in ("conv1", "norm1", "pool1", "conv2"):
        np.testing.assert_allclose(reference.nodes[name], expected[f"node/{name}"][:1], atol=1e-4)
    assert {"relu1", "bn", "concat", "fc"} <= set(reference.nodes)


def test_an_inner_node_is_the_output(tmp_path: Path) -> None:
    net = small_network()
    network = replace(save(net, tmp_path), output="conv2")
    expected = small_reference(net)
    assert write_reference(network, {"data": expected["data"]}, tmp_path / "r.npz") == ["conv2_output"]
    report = export_network(network, INPUTS, tmp_path / "net.onnx", reference=tmp_path / "r.npz")
    assert report.parity is not None
    assert report.parity.max_abs_error < 1e-4


def test_mistake_is_found_where_it_is(tmp_path: Path) -> None:
    net = small_network()
    network = save(net, tmp_path)
    write_reference(network, {"data": small_reference(net)["data"]}, tmp_path / "r.npz")
    report = export_network(network, INPUTS, tmp_path / "net.onnx", reference=tmp_path / "r.npz")
    assert report.parity is not None
    assert report.parity.max_abs_error < 1e-5
    net.params["bn_beta"] = net.params["bn_beta"] + np.float32(0.1)
    other = save(net, tmp_path)
    with pytest.raises(ParityError, match=r"The first node that differs is 'bn' \(Conv\)"):
        export_network(other, INPUTS, tmp_path / "other.onnx", reference=tmp_path / "r.npz")


def test_nodes_are_kept_as_long_as_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_module, "MAX_NODE_BYTES", 4 * (4 * 10 * 10) * 2)
    net = small_network()
    write_reference(save(net, tmp_path), {"data": small_reference(net)["data"]}, tmp_path / "r.npz")
    assert list(read_reference(tmp_path / "r.npz").nodes) == ["conv1", "relu1"]


def test_labels_of_a_loss(tmp_path: Path) -> None:
    net = small_network()
    net.op("SoftmaxOutput", "softmax", [len(net.nodes) - 1, net.variable("softmax_label")])
    network = save(net, tmp_path)
    assert write_reference(network, {"data": small_reference(net)["data"]}, tmp_path / "r.npz") == ["softmax_output"]
    assert export_network(network, INPUTS, tmp_path / "net.onnx", reference=tmp_path / "r.npz").parity is not None


def test_what_cannot_be_run_is_one_line(tmp_path: Path) -> None:
    net = small_network()
    images = small_reference(net)["data"]
    missing = small_network()
    del missing.params["fc_bias"]
    half = small_network()
    half.params |= {name: array.astype(np.float16) for name, array in half.params.items() if not name.startswith("bn_")}
    for wrong_net, batch in ((missing, images), (half, images.astype(np.float16)), (net, images[:, :2])):
        network = save(wrong_net, tmp_path)
        with pytest.raises(DataError, match="MXNet cannot run this network") as caught:
            write_reference(network, {"data": batch}, tmp_path / "r.npz")
        assert "\n" not in str(caught.value)
    network.symbol.write_text("{")
    with pytest.raises(DataError, match="MXNet cannot run this network"):
        write_reference(network, {"data": images}, tmp_path / "r.npz")
    with pytest.raises(DataError, match="cannot be written"):
        write_reference(save(net, tmp_path), {"data": images}, tmp_path / "none" / "r.npz")
    assert not (tmp_path / "r.npz").exists()


def test_command_line(tmp_path: Path) -> None:
    network = save(small_network(), tmp_path)
    line = ["--symbol", str(network.symbol), "--params", str(network.params), "--shape", f"data:2,3,{CROP},{CROP}"]
    done = CliRunner().invoke(app, ["reference", *line, "--out", str(tmp_path / "r.npz"), "--json"])
    assert done.exit_code == 0, done.output
    assert '"unit_output"' in done.stdout
    done = CliRunner().invoke(
        app, ["export", *line, "--reference", str(tmp_path / "r.npz"), "--onnx", str(tmp_path / "net.onnx")]
    )
    assert done.exit_code == 0, done.output
    assert read_reference(tmp_path / "r.npz").outputs["unit_output"].shape == (2, DIM)
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "net.onnx"), str(tmp_path / "r.npz")])
    assert done.exit_code == 0, done.output


def test_a_block_that_is_used_twice_names_two_nodes(tmp_path: Path) -> None:
    net = Net()
    once = net.op("tanh", "act", [net.variable("data")])
    net.op("Flatten", "flat", [net.op("tanh", "act", [net.op("negative", "minus", [once])])])
    feeds = {"data": small_reference(small_network())["data"]}
    write_reference(save(net, tmp_path), feeds, tmp_path / "r.npz")
    reference = read_reference(tmp_path / "r.npz")
    assert list(reference.nodes) == ["minus", "flat"]
    np.testing.assert_allclose(reference.nodes["minus"], -np.tanh(feeds["data"][:1]), rtol=1e-5)


def test_a_reference_that_verify_would_refuse_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, feeds = save(small_network(), tmp_path), {"data": small_reference(small_network())["data"]}
    monkeypatch.setattr(reference_module, "MAX_REFERENCE_BYTES", feeds["data"].nbytes)
    with pytest.raises(DataError, match=r"r\.npz: inputs and outputs take .* bytes; .*fewer images with --shape"):
        write_reference(network, feeds, tmp_path / "r.npz")
    assert not (tmp_path / "r.npz").exists()


@pytest.mark.parametrize(("row", "layout"), [((3, 5, 6, 7), "NCDHW"), ((3, 9), "NCW")])
def test_video_and_sequences(tmp_path: Path, row: tuple[int, ...], layout: str) -> None:
    rng = np.random.default_rng(0)
    kernel = (2,) * (len(row) - 1)
    net = Net()
    weight = net.variable("weight", rng.normal(size=(4, 3, *kernel)).astype(np.float32))
    attrs = {"kernel": str(kernel), "num_filter": "4", "no_bias": "True", "layout": layout}
    conv = net.op("Convolution", "conv", [net.variable("data"), weight], attrs)
    norms = [net.variable(name, np.full(4, 2, np.float32)) for name in ("gamma", "beta", "moving_mean", "moving_var")]
    norm = net.op("BatchNorm", "norm", [conv, *norms], {"fix_gamma": "False"})
    net.op("Pooling", "pool", [norm], {"kernel": str(kernel), "pool_type": "avg", "pooling_convention": "full"})
    network = save(net, tmp_path)
    line = ["--symbol", str(network.symbol), "--params", str(network.params)]
    line += ["--shape", f"data:2,{','.join(map(str, row))}"]
    for arguments in (["reference", "--out"], ["export", "--onnx", str(tmp_path / "net.onnx"), "--reference"]):
        done = CliRunner().invoke(app, [*arguments[:1], *line, *arguments[1:], str(tmp_path / "r.npz")])
        assert done.exit_code == 0, done.output
    assert read_reference(tmp_path / "r.npz").data.shape == (2, *row)


def scrambled(net: Net) -> Net:
    """The weights of conv2 in another order: every number is plausible."""
    net.params["conv2_weight"] = np.ascontiguousarray(net.params["conv2_weight"][:, ::-1])
    return net


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (True, "The first node that differs is 'conv2'. So the files do not contain"),
        (False, "The program recorded no outputs"),
    ],
)
def test_weight_that_was_scrambled_while_saving_is_noticed(tmp_path: Path, nodes: bool, message: str) -> None:
    """The program records what its live network computes: here, plain loops."""
    live = small_reference(small_network())
    live["any name"] = live.pop("embedding")
    arrays = {name: array for name, array in live.items() if nodes or not name.startswith("node/")}
    (tmp_path / "live.npz").write_bytes(npz_bytes(arrays))
    line = ["reference", "--expected", str(tmp_path / "live.npz"), "--out", str(tmp_path / "r.npz")]
    network = save(scrambled(small_network()), tmp_path)
    line += ["--symbol", str(network.symbol), "--params", str(network.params)]
    done = CliRunner().invoke(app, line)
    assert isinstance(done.exception, ParityError)
    assert "output 'unit_output', computed from the files, differs from what the program recorded" in str(
        done.exception
    )
    assert message in str(done.exception)
    assert "mx.nd.waitall()" in str(done.exception)
    assert not (tmp_path / "r.npz").exists()
    save(small_network(), tmp_path)
    done = CliRunner().invoke(app, [*line, "--json"])
    assert done.exit_code == 0, done.output
    assert '"shapes": {' in done.stdout
    np.testing.assert_array_equal(read_reference(tmp_path / "r.npz").data, live["data"])
    assert "conv2" in read_reference(tmp_path / "r.npz").nodes
