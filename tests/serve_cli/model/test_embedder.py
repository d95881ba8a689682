import pickle
import sys
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest

from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import ConfigError, DeviceError, RunError
from gluon_lifted.hardware.cpus import usable_cpus
from serve_cli import Embedder
from serve_cli.model import embedder as session
from serve_cli.model import model_options
from serve_cli.model.model_options import ModelOptions
from serve_cli.model.tuning import Tuning, save_tuning
from tests.serve_cli.photos import pixels
from tests.serve_cli.tiny_model import (
    CARD,
    Oddity,
    weight,
    write_model,
)

onnxruntime = pytest.importorskip("onnxruntime")


def test_embedding_is_the_matrix_product_of_the_normalized_pixels(model):
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    embedder = Embedder(model)
    mean, std = np.array(CARD.preprocessing.mean), np.array(CARD.preprocessing.std)
    expected = ((crops - mean) / std).transpose(0, 3, 1, 2).reshape(3, -1) @ weight(CARD).astype(np.float64)
    embedding = embedder.embed(crops)
    assert embedder.card == CARD
    assert embedding.dtype == np.float32
    np.testing.assert_allclose(embedding, expected, atol=1e-5)


def test_threads_are_those_asked_for_or_the_usable_cores(model, monkeypatch):
    def threads_of(embedder):
        return embedder.lanes, embedder.session.get_session_options().intra_op_num_threads

    monkeypatch.setattr(model_options, "usable_cpus", lambda: 5)
    assert threads_of(Embedder(model, ModelOptions(threads=2, sessions=1))) == (1, 2)
    assert threads_of(Embedder(model, ModelOptions(threads=4, sessions=2))) == (2, 2)
    assert threads_of(Embedder(model, ModelOptions(sessions=2))) == (2, 2)
    assert threads_of(Embedder(model, ModelOptions(threads=3))) == (min(3, usable_cpus()), 3 // min(3, usable_cpus()))
    with pytest.raises(ConfigError, match="3 sessions cannot share 2 threads"):
        Embedder(model, ModelOptions(threads=2, sessions=3))


@pytest.mark.parametrize("threads", [2, 4])  # of one session each, and of one that both share
def test_batches_side_by_side_give_the_same_embeddings(model, threads):
    embedder = Embedder(model, ModelOptions(threads=threads, sessions=2))
    batches = [pixels(seed, 16, 16)[None] for seed in range(20)]
    started = [embedder.start(batch) for batch in batches]
    alone = Embedder(model, ModelOptions(threads=1))
    for one, batch in zip(started, batches, strict=True):
        np.testing.assert_allclose(one.result(), alone.embed(batch), atol=1e-6)


def test_the_device_by_its_keyword(model):
    assert Embedder(model, ModelOptions(device="gpu"), device="cpu").options == ModelOptions(device="cpu")


def test_the_batch_size_is_that_of_the_options(model):
    assert Embedder(model, ModelOptions(batch_size=3)).batch_size == 3


def test_batches_really_go_side_by_side(model):
    embedder = Embedder(model, ModelOptions(threads=2, sessions=2))
    meeting = threading.Barrier(2, timeout=20)

    class TileRanker:
        def run(self, feed):
            meeting.wait()
            return np.zeros((len(feed), 8), np.float32)

    for _ in range(2):
        embedder._free.get()
        embedder._free.put(TileRanker())
    batch = np.zeros((1, 16, 16, 3), np.uint8)
    assert [one.result().shape for one in [embedder.start(batch), embedder.start(batch)]] == [(1, 8), (1, 8)]


def test_a_lane_is_free_again_after_a_failure(model):
    embedder = Embedder(model, ModelOptions(threads=1))
    for _ in range(3):
        with pytest.raises(DeviceError):
            embedder.run(np.zeros((2, 3, 17, 17), np.float32))
    assert embedder.embed(np.zeros((2, 16, 16, 3), np.uint8)).shape == (2, 8)


@pytest.mark.parametrize(
    ("pixels", "found", "hint"),
    [
        (np.zeros((2, 17, 17, 3), np.uint8), r"ndarray uint8 \(2, 17, 17, 3\)", "Resize and crop images"),
        (np.zeros((16, 16, 3), np.uint8), r"\(16, 16, 3\)", r"For a single image, pass image\[None\]"),
        (np.zeros((2, 3, 16, 16), np.uint8), r"\(2, 3, 16, 16\)", r"pixels\.transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 16, 16, 4), np.uint8), r"\(2, 16, 16, 4\)", "Resize and crop"),
        (np.zeros((), np.uint8), r"uint8 \(\)", "Resize and crop"),
        (np.full((2, 16, 16, 3), 0.5, np.float32), "ndarray float32", "Multiply by 255 and round"),
        (np.full((2, 16, 16, 3), 200.0, np.float32), "ndarray float32", "Round to whole numbers"),
        (np.zeros((2, 16, 16, 3), np.int8), "ndarray int8", "Round to whole numbers"),
        (np.zeros((2, 16, 16, 3), bool), "ndarray bool", "Round to whole numbers"),
        ([[[[0, 0, 0]]]], "pixels are list;", "Resize and crop"),
        (None, "pixels are NoneType;", "Resize and crop"),
        ("photo.jpg", "pixels are str;", "Resize and crop"),
    ],
)
def test_pixels_that_the_network_would_make_nonsense_of(model, pixels, found, hint):
    with Embedder(model) as embedder:
        for embed in (embedder.embed, embedder.start):
            with pytest.raises(ConfigError, match=rf"{found}.*expected .*uint8, \(N, 16, 16, 3\), RGB.*{hint}"):
                embed(pixels)


def test_no_images_are_no_embeddings(model):
    with Embedder(model) as embedder:
        embedding = embedder.embed(np.zeros((0, 16, 16, 3), np.uint8))
    assert (embedding.shape, embedding.dtype) == ((0, 8), np.float32)


def test_a_closed_embedder_has_released_its_session_and_its_threads(model):
    batch = pixels(0, 16, 16)[None]
    before = threading.active_count()
    with Embedder(model, ModelOptions(threads=2, sessions=2)) as embedder:
        session_alive = weakref.ref(embedder.session)
        started = [embedder.start(batch) for _ in range(10)]
        assert threading.active_count() > before
    assert all(one.result().shape == (1, 8) for one in started)  # what was started was finished
    assert threading.active_count() == before
    assert session_alive() is None
    for call in (embedder.embed, embedder.start):
        with pytest.raises(ConfigError, match="the embedder is closed; open another one"):
            call(batch)
    embedder.close()


def test_an_embedder_can_be_sent_to_another_process(model):
    embedder = Embedder(model, ModelOptions(threads=2, sessions=2))
    again = pickle.loads(pickle.dumps(embedder))
    batch = pixels(0, 16, 16)[None]
    assert (again.lanes, again.threads, again.card) == (2, 2, embedder.card)
    np.testing.assert_array_equal(again.embed(batch), embedder.embed(batch))


def test_batch_size_and_sessions_are_those_that_were_saved(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    save_tuning(Embedder(model).model_sha256, "cpu", Tuning(17, 2))
    found = Embedder(model, ModelOptions(threads=4))
    assert (found.batch_size, found.lanes) == (17, 2)
    assert Embedder(model, ModelOptions(threads=1)).lanes == 1  # no more than there are threads
    assert Embedder(model, ModelOptions(threads=4, sessions=4)).lanes == 4


def test_onnxruntime_that_is_not_installed_is_named_with_its_cure(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match=r"pip install .*\[serve\]"):
        Embedder(model)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08"])
def test_file_that_is_not_onnx(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"bad\.onnx: is not an ONNX model, or is damaged: onnxruntime cannot load it"):
        Embedder(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(RunError, match="no such file"):
        Embedder(tmp_path / "none.onnx")
    with pytest.raises(RunError, match="is an empty folder; expected an ONNX model"):
        Embedder(tmp_path)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (Oddity(metadata={}), "has no model card"),
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
        def run(self, feed):
            return np.zeros((len(feed), 7), np.float32)

    embedder = Embedder(model, ModelOptions(threads=1))
    embedder._free.get()
    embedder._free.put(Surprise())
    with pytest.raises(RunError, match=r"is \(2, 7\); the card says \(2, 8\)"):
        embedder.embed(np.zeros((2, 16, 16, 3), np.uint8))


def test_failure_of_the_network_is_one_sentence(model):
    with pytest.raises(DeviceError, match=r"failed on a batch of 2 images .* smaller --batch-size"):
        Embedder(model).run(np.zeros((2, 3, 17, 17), np.float32))


def test_int8_on_a_processor_whose_sums_saturate_is_warned_of(tmp_path, monkeypatch, caplog):
    for precision, instructions, warned in [
        ("int8", "sse2 avx2", True),
        ("int8", "sse2 avx512_vnni", False),
        ("int8", "sse2 avx_vnni", False),
        ("int8", "fp asimd", False),
        ("fp32", "sse2 avx2", False),
    ]:
        model = write_model(tmp_path / "m.onnx", replace(CARD, provenance={"precision": precision}))
        monkeypatch.setattr(session, "instruction_sets", lambda found=instructions: found)
        Embedder(model)
        assert ("lacks VNNI" in caplog.text) == warned
        caplog.clear()
