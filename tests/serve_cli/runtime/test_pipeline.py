import threading
import time

import numpy as np
import pytest
from PIL import Image

from serve_cli import Embedder
from serve_cli.runtime import pipeline
from serve_cli.runtime.pipeline import NOT_FINITE, StageTimes, collect, embed_rows, reported
from serve_cli.runtime.rows import ImageRow
from serve_cli.runtime.sources import open_source

from ..photos import broken_photos, odd_photos, photo
from ..tiny_model import CARD, weight


def embed_one_by_one(rows):
    """The dumb way: Pillow, one image, float64."""
    side, crop = CARD.preprocessing.resize, CARD.preprocessing.crop
    top = (side - crop) // 2
    result = []
    for row in rows:
        square = Image.open(row.path).resize((side, side), Image.Resampling.BILINEAR)
        pixels = np.asarray(square)[top : top + crop, top : top + crop].astype(np.float64)
        batch = (pixels - CARD.preprocessing.mean) / CARD.preprocessing.std
        result.append(batch.transpose(2, 0, 1).reshape(-1) @ weight(CARD).astype(np.float64))
    return np.array(result)


@pytest.fixture
def rows(tmp_path):
    """Seven images, in PNG so that Pillow decodes them the same way however they are opened."""
    for number in range(7):
        photo(tmp_path / "photos" / f"{number}.png", seed=number)
    return list(open_source(tmp_path / "photos"))


def embed(model, rows, batch_size=3, threads=2):
    return collect(embed_rows(Embedder(model), rows, batch_size, threads), CARD.dim)


def test_rows_come_in_order_and_none_is_dropped(model, rows):
    batches = list(embed_rows(Embedder(model), iter(rows), batch_size=3, threads=2))
    assert [len(batch.rows) for batch in batches] == [3, 3, 1]
    found = collect(batches, CARD.dim)
    assert found.rows == rows
    assert found.errors == [None] * 7
    assert found.embedding.dtype == np.float32
    np.testing.assert_allclose(found.embedding, embed_one_by_one(rows), atol=1e-5)


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (1, 8), (2, 2), (7, 3), (64, 1)])
def test_result_depends_neither_on_batch_size_nor_on_threads(model, rows, batch_size, threads):
    reference = embed(model, rows, batch_size=3, threads=2)
    found = embed(model, rows, batch_size, threads)
    assert found.rows == reference.rows
    np.testing.assert_allclose(found.embedding, reference.embedding, atol=1e-6, rtol=0)


def test_network_sees_one_batch_shape(model, rows):
    embedder, seen = Embedder(model), []
    real = embedder.embed
    embedder.embed = lambda pixels: seen.append(pixels.shape) or real(pixels)
    collect(embed_rows(embedder, rows, batch_size=3, threads=2), CARD.dim)
    assert seen == [(3, 16, 16, 3)] * 3


def test_odd_images_are_embedded(model, tmp_path):
    files = odd_photos(tmp_path / "odd")
    found = embed(model, list(open_source(tmp_path / "odd")))
    assert [row.path for row in found.rows] == files
    assert found.errors == [None] * len(files)
    assert np.isfinite(found.embedding).all()


def test_unreadable_images_are_rows_with_their_error(model, tmp_path, rows):
    bad = [ImageRow(path.name, path) for path in broken_photos(tmp_path / "bad")]
    mixed = [rows[0], bad[0], bad[1], rows[1], bad[2], rows[2], bad[3], rows[3], bad[4]]
    found = embed(model, mixed)
    good = [0, 3, 5, 7]
    assert [error is None for error in found.errors] == [number in good for number in range(9)]
    np.testing.assert_allclose(found.embedding[good], embed_one_by_one(rows[:4]), atol=1e-5)
    for number in sorted(set(range(9)) - set(good)):
        assert np.isnan(found.embedding[number]).all()
        assert str(mixed[number].path) in found.errors[number]


def test_batch_of_nothing_but_bad_images(model, tmp_path):
    bad = [ImageRow(path.name, path) for path in broken_photos(tmp_path / "bad")]
    embedder = Embedder(model)
    embedder.embed = lambda pixels: pytest.fail("nothing to embed")
    found = collect(embed_rows(embedder, bad, batch_size=2, threads=2), CARD.dim)
    assert found.rows == bad
    assert None not in found.errors
    assert np.isnan(found.embedding).all()


def test_embedding_that_is_not_finite_is_an_error(model, rows):
    embedder = Embedder(model)
    real = embedder.embed

    def overflowing(pixels):
        embedding = real(pixels)
        embedding[1, 5] = np.inf
        return embedding

    embedder.embed = overflowing
    found = collect(embed_rows(embedder, rows[:3], batch_size=3, threads=1), CARD.dim)
    assert found.errors == [None, NOT_FINITE, None]
    assert np.isnan(found.embedding[1]).all()
    assert np.isfinite(found.embedding[[0, 2]]).all()


@pytest.mark.parametrize("sessions", [1, 3])
def test_no_more_batches_are_started_than_allowed(model, rows, sessions):
    """Rows are asked for only as the batches before them are taken."""
    taken = 0

    def counted():
        nonlocal taken
        for number in range(1000):
            taken = number + 1
            yield rows[number % 7]

    embedder = Embedder(model, threads=3, sessions=sessions)
    batches = embed_rows(embedder, counted(), batch_size=10, threads=2)
    next(batches)
    assert taken == 10 * (sessions + pipeline.BATCHES_AHEAD)
    next(batches)
    assert taken == 10 * (1 + sessions + pipeline.BATCHES_AHEAD)
    batches.close()


def test_network_and_decoding_overlap(model, rows, monkeypatch):
    """While the network is held up on the first batch, the second one is decoded."""
    second_decoded = threading.Event()
    real_read = pipeline.read_image

    def watched(path, preprocessing, box, name):
        square = real_read(path, preprocessing, box)
        if path == rows[3].path:
            second_decoded.set()
        return square

    monkeypatch.setattr(pipeline, "read_image", watched)
    embedder = Embedder(model)

    def slow(pixels):
        assert second_decoded.wait(timeout=20)
        return np.zeros((len(pixels), CARD.dim), np.float32)

    embedder.embed = slow
    assert len(collect(embed_rows(embedder, rows, batch_size=3, threads=1), CARD.dim).rows) == 7


def test_threads_end_when_the_caller_stops_early(model, rows):
    batches = embed_rows(Embedder(model), rows * 20, batch_size=2, threads=2)
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_bug_in_a_thread_is_not_taken_for_a_bad_image(model, rows, monkeypatch):
    monkeypatch.setattr(pipeline, "read_image", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        embed(model, rows)


def test_times_add_up(model, rows, monkeypatch):
    real_read = pipeline.read_image
    monkeypatch.setattr(pipeline, "read_image", lambda *given: time.sleep(0.02) or real_read(*given))
    embedder, times = Embedder(model), StageTimes()
    embedder.embed = lambda pixels: time.sleep(0.03) or np.zeros((len(pixels), CARD.dim), np.float32)
    began = time.perf_counter()
    for _ in embed_rows(embedder, rows, batch_size=7, threads=1, times=times):
        time.sleep(0.05)
    total = time.perf_counter() - began
    assert times.decode_s >= 7 * 0.02
    assert times.wait_s >= 7 * 0.02
    assert 0.03 <= times.network_s < 0.12
    assert 0.05 <= times.write_s < 0.14
    assert times.wait_s + times.network_s + times.write_s <= total


def test_progress_tells_of_rows_and_failures(model, tmp_path, rows):
    class Recorder:
        def __init__(self):
            self.seen = []

        def update(self, done, text=""):
            self.seen.append((done, text))

    bad = ImageRow("bad.jpg", tmp_path / "bad.jpg")
    recorder = Recorder()
    collect(reported(embed_rows(Embedder(model), [*rows[:3], bad], 2, 1), recorder), CARD.dim)
    assert recorder.seen == [(2, ""), (4, "1 failed")]


def test_no_rows_at_all():
    assert collect([], 8).embedding.shape == (0, 8)
