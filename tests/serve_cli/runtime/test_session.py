import sys
from dataclasses import replace

import numpy as np
import pytest

from gluon_lifted.card import CARD_KEY
from gluon_lifted.errors import DeviceError, RunError
from serve_cli import Embedder
from serve_cli.runtime import session

from ..tiny_model import CARD, Oddity, weight, write_model

onnxruntime = pytest.importorskip("onnxruntime")


def test_embedding_is_the_matrix_product_of_the_normalised_pixels(model):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    embedder = Embedder(model)
    mean, std = np.array(CARD.preprocessing.mean), np.array(CARD.preprocessing.std)
    expected = ((pixels - mean) / std).transpose(0, 3, 1, 2).reshape(3, -1) @ weight(CARD).astype(np.float64)
    embedding = embedder.embed(pixels)
    assert embedder.card == CARD
    assert embedding.dtype == np.float32
    np.testing.assert_allclose(embedding, expected, atol=1e-5)


def test_threads_are_those_asked_for_or_the_usable_cores(model, monkeypatch):
    monkeypatch.setattr(session, "usable_cpus", lambda: 3)
    assert Embedder(model, threads=2).session.get_session_options().intra_op_num_threads == 2
    assert Embedder(model).session.get_session_options().intra_op_num_threads == 3


def test_no_fall_back_to_the_cpu(model, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match="has no CUDAExecutionProvider"):
        Embedder(model, device="gpu")


def test_provider_that_does_not_start_is_refused(model, monkeypatch, capsys):
    """onnxruntime lists CUDA when it is built for it, and starts the CPU when CUDA's libraries are not there."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    real = onnxruntime.InferenceSession

    def falls_back(path, options, providers):
        assert providers == ["CUDAExecutionProvider"]
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load"), raising=False)
    monkeypatch.setattr(onnxruntime, "set_default_logger_severity", lambda level: None)
    with pytest.raises(DeviceError, match="CUDAExecutionProvider was asked for and onnxruntime started CPU"):
        Embedder(model, device="gpu")
    assert capsys.readouterr().out == ""


def test_onnxruntime_that_is_not_installed_is_named_with_its_cure(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match=r"pip install 'gluon-lifted\[serve\]'"):
        Embedder(model)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08"])
def test_file_that_is_not_onnx(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"bad\.onnx: onnxruntime cannot load it"):
        Embedder(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(RunError, match="no such file"):
        Embedder(tmp_path / "none.onnx")
    with pytest.raises(RunError, match="no such file"):
        Embedder(tmp_path)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (Oddity(metadata={}), "no model card inside"),
        (Oddity(metadata={CARD_KEY: "{}"}), "model card is damaged"),
        (Oddity(input_name="image"), r"'image' tensor\(float\) N x 3 x 16 x 16.*the card says 'data'"),
        (Oddity(output_name="out"), "'out'"),
        (Oddity(batch=1), "1 x 3 x 16 x 16"),
        (Oddity(crop=12), "N x 3 x 12 x 12"),
    ],
)
def test_model_that_does_not_fit_its_card(tmp_path, odd, message):
    with pytest.raises(RunError, match=message):
        Embedder(write_model(tmp_path / "odd.onnx", odd=odd))


def test_output_of_another_width_than_the_card_says(tmp_path):
    card = replace(CARD, dim=9)
    for declared in (None, "D"):  # onnxruntime works out sizes that the file leaves open
        odd = Oddity(metadata={CARD_KEY: card.to_json()}, output_dim=declared)
        with pytest.raises(RunError, match=r"the card says .*N x 9"):
            Embedder(write_model(tmp_path / "wide.onnx", odd=odd))


def test_output_whose_width_shows_only_when_it_runs(model):
    class Surprise:
        def run(self, outputs, inputs):
            return [np.zeros((len(inputs["data"]), 7), np.float32)]

    embedder = Embedder(model)
    embedder.session = Surprise()
    with pytest.raises(RunError, match=r"is \(2, 7\); the card says \(2, 8\)"):
        embedder.embed(np.zeros((2, 16, 16, 3), np.uint8))


def test_failure_of_the_network_is_one_sentence(model):
    with pytest.raises(DeviceError, match=r"failed on a batch of 2 images .* smaller --batch-size"):
        Embedder(model).embed(np.zeros((2, 17, 17, 3), np.uint8))
