"""A network of others on the command line: from its two files to embeddings."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
from PIL import Image

onnx = pytest.importorskip("onnx", reason="exporting needs onnx")

from gluon_lifted.card import ModelCard
from gluon_lifted.images import Preprocessing
from serve_cli import Embedder, read_embeddings
from serve_cli.cli.main import main
from serve_cli.cli.network_options import PreprocessingOptions
from tests.export.mxnet_files import Net
from tests.serve_cli.photos import photo

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 12


def face_network(head: str = "fc") -> Net:
    """PReLU, a global pooling, ``fc1``, and a loss behind it; or the pooling itself as the last node."""
    rng = np.random.default_rng(0)
    net = Net()
    data = net.variable("data0")
    weight = net.variable("conv_weight", rng.normal(size=(6, 3, 3, 3)).astype(np.float32) / 100)
    node = net.op("Convolution", "conv", [data, weight], {"kernel": "(3, 3)", "num_filter": "6", "no_bias": "True"})
    slope = net.variable("relu_gamma", np.full(6, 0.25, np.float32))
    node = net.op("LeakyReLU", "relu", [node, slope], {"act_type": "prelu"})
    node = net.op("Pooling", "pool", [node], {"global_pool": "True", "pool_type": "avg", "kernel": "(1, 1)"})
    if head == "pool":
        return net
    weight = net.variable("fc1_weight", rng.normal(size=(8, 6)).astype(np.float32))
    bias = net.variable("fc1_bias", rng.normal(size=8).astype(np.float32))
    node = net.op("FullyConnected", "fc1", [node, weight, bias], {"num_hidden": "8"})
    weight = net.variable("fc7_weight", rng.normal(size=(5, 8)).astype(np.float32))
    node = net.op("FullyConnected", "fc7", [node, weight], {"num_hidden": "5", "no_bias": "True"})
    net.op("softmax", "softmax", [node])
    return net


def save(net: Net, folder: Path) -> tuple[str, ...]:
    (folder / "net-symbol.json").write_bytes(net.symbol_bytes())
    (folder / "net-0000.params").write_bytes(net.params_bytes())
    return ("--symbol", str(folder / "net-symbol.json"), "--params", str(folder / "net-0000.params"))


def lifted(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["lifted", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def numpy_network(net: Net, data: np.ndarray) -> np.ndarray:
    """``fc1`` of `face_network` by plain sums, in float64."""
    weight = net.params["conv_weight"].astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(data.astype(np.float64), (3, 3), axis=(2, 3))
    planes = np.einsum("nchwij,fcij->nfhw", windows, weight)
    planes = np.where(planes > 0, planes, 0.25 * planes).mean(axis=(2, 3))
    return planes @ net.params["fc1_weight"].T.astype(np.float64) + net.params["fc1_bias"]


@pytest.mark.parametrize("in_graph", [False, True])
def test_from_two_files_to_embeddings(tmp_path, monkeypatch, in_graph):
    net = face_network()
    rng = np.random.default_rng(1)
    (tmp_path / "photos").mkdir()
    for index in range(3):
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(tmp_path / "photos" / f"{index}.png")
    more = ("--normalize", "--preprocess", "graph") if in_graph else ()
    status = lifted(
        monkeypatch,
        *("export", *save(net, tmp_path), "--shape", f"data0:1,3,{SIDE},{SIDE}", "--output", "fc1"),
        *("--preprocessing", "insightface", "--channels", "bgr", "--scale", "0.5", "--mean", "10,20,30"),
        *("--name", "r50", "--onnx", tmp_path / "face.onnx", *more),
    )
    assert status == 0
    assert lifted(monkeypatch, "embed", tmp_path / "face.onnx", tmp_path / "photos", "--out", tmp_path / "emb") == 0
    pixels = np.stack([np.asarray(Image.open(tmp_path / "photos" / f"{index}.png")) for index in range(3)])
    data = (pixels[..., ::-1].astype(np.float64) - [10, 20, 30]) * 0.5
    expected = numpy_network(net, data.transpose(0, 3, 1, 2))
    if in_graph:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(read_embeddings(tmp_path / "emb").embedding, expected, rtol=1e-4, atol=1e-4)
    with Embedder(tmp_path / "face.onnx") as embedder:
        assert (embedder.card.name, embedder.card.dim, embedder.card.normalized) == ("r50", 8, in_graph)


def test_the_crop_gives_the_size_of_the_input(tmp_path, monkeypatch, capsys):
    net = face_network()
    net.nodes[0]["name"] = "data"
    files, path = save(net, tmp_path), tmp_path / "face.onnx"
    arguments = ("--output", "fc1", "--mean", "127.5", "--std", "128", "--resize", "16", "--onnx", path)
    assert lifted(monkeypatch, "export", *files, "--crop", SIDE, *arguments) == 0
    with Embedder(path) as embedder:
        assert embedder.card.preprocessing.resize == 16
        assert embedder.card.preprocessing.crop == SIDE
    assert lifted(monkeypatch, "export", *files, "--crop", SIDE, "--shape", "data:1,3,10,10", *arguments) == 1
    assert f"one input of images, (N, 3, {SIDE}, {SIDE})" in capsys.readouterr().err


def test_a_pooled_output_is_flattened(tmp_path, monkeypatch):
    files = save(face_network("pool"), tmp_path)
    arguments = ("export", *files, "--shape", f"data0:1,3,{SIDE},{SIDE}", "--preprocessing", "0-1", "--onnx")
    assert lifted(monkeypatch, *arguments, tmp_path / "pool.onnx") == 0
    with Embedder(tmp_path / "pool.onnx") as embedder:
        assert embedder.embed(np.zeros((2, SIDE, SIDE, 3), np.uint8)).shape == (2, 6)
        assert embedder.card.name == "net"


def test_a_card_in_place_of_the_options(tmp_path, monkeypatch, capsys):
    files = (*save(face_network(), tmp_path), "--shape", f"data0:1,3,{SIDE},{SIDE}", "--output", "fc1")
    card = ModelCard(
        name="r50",
        backbone="resnet50",
        dim=8,
        normalized=False,
        preprocessing=Preprocessing(16, SIDE, fit="pad", trim=True),
        dataset="faces",
        loss="arcface",
        provenance={"epochs": "20"},
    )
    (tmp_path / "card.json").write_text(card.to_json())
    given = ("--card", tmp_path / "card.json", "--onnx", tmp_path / "face.onnx")
    assert lifted(monkeypatch, "export", *files, *given) == 0
    with Embedder(tmp_path / "face.onnx") as embedder:
        assert embedder.card == replace(card, provenance={"epochs": "20", "symbol": "net-symbol.json"})
    assert lifted(monkeypatch, "export", *files, *given, "--name", "mine", "--normalize") == 0
    with Embedder(tmp_path / "face.onnx") as embedder:
        assert (embedder.card.name, embedder.card.normalized) == ("mine", True)
    net = face_network()
    net.nodes[0]["name"] = "data"
    (tmp_path / "usual").mkdir()
    usual = (*save(net, tmp_path / "usual"), "--output", "fc1")
    assert lifted(monkeypatch, "export", *usual, *given) == 0  # the card gives the size of the input
    assert lifted(monkeypatch, "export", *usual, *given, "--crop", SIDE) == 2
    assert "--card describes the preprocessing; leave out --crop" in " ".join(
        capsys.readouterr().err.replace("│", "").split()
    )
    (tmp_path / "face.onnx").unlink()
    assert lifted(monkeypatch, "export", tmp_path, *given) == 2
    assert "leave out --reference, --preprocessing and --card" in " ".join(
        capsys.readouterr().err.replace("│", " ").split()
    )
    for changed, more, message in (
        (card, ("--preprocessing", "raw", "--mean", "1"), "leave out --preprocessing, --mean"),
        (replace(card, dim=9), (), "computes 8 numbers per image, but the card says dim 9"),
        (replace(card, normalized=True), (), "says that embeddings have unit length"),
        (replace(card, preprocessing=Preprocessing(16, 10)), (), "a model card needs one input of images"),
    ):
        (tmp_path / "card.json").write_text(changed.to_json())
        assert lifted(monkeypatch, "export", *files, *given, *more) in (1, 2)
        assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
        assert not (tmp_path / "face.onnx").exists()


@pytest.mark.slow
def test_int8_of_a_network_of_others(tmp_path, monkeypatch):
    for index in range(12):
        photo(tmp_path / "photos" / f"{index}.jpg", index)
    status = lifted(
        monkeypatch,
        *("export", *save(face_network(), tmp_path), "--shape", f"data0:1,3,{SIDE},{SIDE}", "--output", "fc1"),
        *("--preprocessing", "imagenet", "--precision", "int8", "--calibration", tmp_path / "photos", "--force"),
        *("--onnx", tmp_path / "int8.onnx"),
    )
    assert status == 0
    with Embedder(tmp_path / "int8.onnx") as embedder:
        assert json.loads(embedder.card.to_json())["preprocessing"]["fit"] == "cover"
        assert embedder.card.provenance["precision"] == "int8"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--output", "fc9", "--preprocessing", "raw"), "has no node 'fc9'. Similar names: fc"),
        (("--output", "conv", "--preprocessing", "raw"), "has the shape (6, 10, 10); expected (D,) or (D, 1, 1)"),
        (("--normalize",), "add --preprocessing"),
        (("--precision", "fp16"), "add --preprocessing"),
        (("--preprocessing", "raw", "--mean", "1,2"), "--mean is '1,2'; expected one number, or three"),
        (("--mean", "1"), "the card needs --preprocessing"),
        (("--std", "0", "--mean", "0"), "std above 0"),
        (("--preprocessing", "raw", "--resize", "8"), "crop 12 and resize 8 px do not fit"),
    ],
)
def test_options_that_do_not_fit(tmp_path, monkeypatch, capsys, arguments, message):
    files = save(face_network(), tmp_path)
    shape = f"data0:1,3,{SIDE},{SIDE}"
    status = lifted(monkeypatch, "export", *files, "--shape", shape, "--onnx", tmp_path / "no.onnx", *arguments)
    assert status in (1, 2)
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "no.onnx").exists()


def test_images_are_squares_of_three_channels(tmp_path, monkeypatch, capsys):
    files = save(face_network(), tmp_path)
    for shape in ("data0:1,3,14,12", "data0:1,1,12,12"):
        arguments = ("--shape", shape, "--output", "fc1", "--preprocessing", "raw", "--onnx", tmp_path / "no.onnx")
        assert lifted(monkeypatch, "export", *files, *arguments) == 1
        assert "one input of images, (N, 3, 12, 12)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("crop", "options", "expected"),
    [
        (224, {"preset": "imagenet"}, Preprocessing(256, 224, fit="cover")),
        (224, {"preset": "caffe"}, Preprocessing(256, 224, "BGR", (104, 117, 123), (1, 1, 1))),
        (112, {"preset": "insightface"}, Preprocessing(112, 112, "RGB", (0, 0, 0), (1, 1, 1))),
        (64, {"preset": "0-1", "resize": 72}, Preprocessing(72, 64, "RGB", (0, 0, 0), (255, 255, 255))),
        (
            64,
            {"mean": "127.5", "scale": 1 / 128},
            Preprocessing(64, 64, "RGB", (127.5,) * 3, (128,) * 3),
        ),
        (64, {}, None),
    ],
)
def test_presets_and_changes(crop: int, options: dict[str, Any], expected: Preprocessing | None) -> None:
    assert PreprocessingOptions(**options).build(crop) == expected


def test_changes_of_an_old_card() -> None:
    old = Preprocessing(72, 64, "BGR", (1, 2, 3), (4, 5, 6), fit="pad", trim=True)
    assert PreprocessingOptions().build(64, old) == old
    assert PreprocessingOptions(resize=80, mean="9").build(64, old) == replace(old, resize=80, mean=(9, 9, 9))
    assert PreprocessingOptions(interpolation="bicubic").build(64, old) == replace(old, interpolation="bicubic")
    assert PreprocessingOptions(scale=0.5).build(64, old) == replace(old, std=(2, 2, 2))
    assert PreprocessingOptions(preset="raw").build(64, old) == Preprocessing(64, 64, "RGB", (0, 0, 0), (1, 1, 1))


def test_no_scale_of_zero() -> None:
    for scale in (0.0, -1.0, float("nan")):
        with pytest.raises(typer.BadParameter, match="expected a number above 0"):
            PreprocessingOptions(preset="raw", scale=scale).build(64)
