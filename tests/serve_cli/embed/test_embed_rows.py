import hashlib
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from serve_cli import Embedder
from serve_cli.embed import decoding
from serve_cli.embed.decoding import Decoding
from serve_cli.embed.embed_rows import (
    NOT_FINITE,
    collect,
    embed_rows,
    reported,
)
from serve_cli.embed.stage_times import StageTimes
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.image_row import HeldImage, ImageRow
from serve_cli.sources.resolve import open_source
from tests.serve_cli.photos import broken_photos, odd_photos, photo
from tests.serve_cli.tiny_model import CARD, weight


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
    return collect(embed_rows(Embedder(model), rows, batch_size, Decoding(threads)), CARD.dim)


def test_rows_come_in_order_and_none_is_dropped(model, rows):
    batches = list(embed_rows(Embedder(model), iter(rows), 3, Decoding(2)))
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
    collect(embed_rows(embedder, rows, 3, Decoding(2)), CARD.dim)
    assert seen == [(3, 16, 16, 3)] * 3


def test_odd_images_are_embedded(model, tmp_path):
    files = odd_photos(tmp_path / "odd")
    found = embed(model, list(open_source(tmp_path / "odd")))
    assert [row.path for row in found.rows] == files
    assert found.errors == [None] * len(files)
    assert np.isfinite(found.embedding).all()
    of = dict(zip((file.name for file in files), found.embedding, strict=True))
    np.testing.assert_array_equal(of["moving.webp"], of["really png.jpg"])  # its first frame; and named wrongly
    np.testing.assert_array_equal(of["moving.gif"], of["palette.gif"])
    np.testing.assert_array_equal(of["16-bit.tif"], of["16-bit.png"])


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
    found = collect(embed_rows(embedder, bad, 2, Decoding(2)), CARD.dim)
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
    found = collect(embed_rows(embedder, rows[:3], 3, Decoding(1)), CARD.dim)
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

    embedder = Embedder(model, ModelOptions(threads=3, sessions=sessions))
    batches = embed_rows(embedder, counted(), 10, Decoding(2))
    next(batches)
    assert taken == 10 * (sessions + 1 + decoding.BATCHES_AHEAD)
    next(batches)
    assert taken == 10 * (sessions + 2 + decoding.BATCHES_AHEAD)
    batches.close()


def test_network_and_decoding_overlap(model, rows, monkeypatch):
    """While the network is held up on the first batch, the second one is decoded."""
    second_decoded = threading.Event()
    real_read = decoding.read_image

    def watched(content, preprocessing, box, name, limits):
        square = real_read(content, preprocessing, box)
        if name == str(rows[3].path):
            second_decoded.set()
        return square

    monkeypatch.setattr(decoding, "read_image", watched)
    embedder = Embedder(model)

    def slow(pixels):
        assert second_decoded.wait(timeout=20)
        return np.zeros((len(pixels), CARD.dim), np.float32)

    embedder.embed = slow
    assert len(collect(embed_rows(embedder, rows, 3, Decoding(1)), CARD.dim).rows) == 7


def test_threads_end_when_the_caller_stops_early(model, rows):
    batches = embed_rows(Embedder(model), rows * 20, 2, Decoding(2))
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_bug_in_a_thread_is_not_taken_for_a_bad_image(model, rows, monkeypatch):
    monkeypatch.setattr(decoding, "read_image", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        embed(model, rows)


def test_times_add_up(model, rows, monkeypatch):
    real_read, real_decode = decoding.read_image_bytes, decoding.read_image
    monkeypatch.setattr(decoding, "read_image_bytes", lambda path, **how: time.sleep(0.01) or real_read(path, **how))
    monkeypatch.setattr(decoding, "read_image", lambda *given: time.sleep(0.02) or real_decode(*given))
    embedder, times = Embedder(model), StageTimes()
    embedder.embed = lambda pixels: time.sleep(0.03) or np.zeros((len(pixels), CARD.dim), np.float32)
    began = time.perf_counter()
    for _ in embed_rows(embedder, rows, 7, Decoding(1), times):
        time.sleep(0.05)
    total = time.perf_counter() - began
    assert 7 * 0.01 <= times.read_s < times.decode_s
    assert times.decode_s >= 7 * 0.02
    assert times.wait_s >= 7 * 0.03
    assert times.network_s >= 0.03
    assert times.write_s >= 0.05
    assert times.wait_s + times.network_s + times.write_s <= total


def test_shares_of_the_stages_add_up():
    times = StageTimes(read_s=2, decode_s=6, wait_s=4, network_s=5, write_s=1)
    assert times.shares() == {"reading": 0.1, "decoding": 0.3, "network": 0.5, "writing": 0.1}
    assert times.text() == "network 50%, decoding 30%, reading 10%, writing 10%"
    assert StageTimes(network_s=999, write_s=1).text() == "network 100%"
    assert StageTimes().text() == ""


def test_progress_tells_of_rows_failures_and_stages(model, tmp_path, rows):
    class Recorder:
        def __init__(self):
            self.seen = []

        def update(self, done, text=""):
            self.seen.append((done, text))

    bad, recorder, times = ImageRow("bad.jpg", tmp_path / "bad.jpg"), Recorder(), StageTimes(wait_s=1e6)
    collect(reported(embed_rows(Embedder(model), [*rows[:3], bad], 2, Decoding(1)), recorder, times), CARD.dim)
    assert recorder.seen == [(2, "decoding 100%"), (4, "1 failed  decoding 100%")]


def test_checksums_are_columns_of_their_own(model, tmp_path, rows):
    (tmp_path / "text.jpg").write_bytes(b"no picture")
    odd = [ImageRow("text.jpg", tmp_path / "text.jpg"), ImageRow("none.jpg", tmp_path / "none.jpg")]
    held = replace(rows[0], content=HeldImage(rows[0].path.read_bytes()), extra={"price": 3})
    found = collect(embed_rows(Embedder(model), [rows[0], held, *odd], 3, Decoding(2, checksums=True)), CARD.dim)
    content = rows[0].path.read_bytes()
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    assert [row.extra for row in found.rows] == [
        facts,
        {"price": 3, **facts},
        {"sha256": hashlib.sha256(b"no picture").hexdigest(), "size": 10},
        {"sha256": None, "size": None},
    ]
    assert rows[0].extra == {}
    assert held.extra == {"price": 3}


def test_files_beyond_the_limit_fail_however_they_come(model, rows):
    content = rows[0].path.read_bytes()
    held = replace(rows[0], content=HeldImage(content))
    for most, errors in ((len(content), 0), (len(content) - 1, 2)):
        decoding = Decoding(1, max_file_bytes=most)
        found = collect(embed_rows(Embedder(model), [rows[0], held], 2, decoding), CARD.dim)
        assert (
            sum(f"{len(content):,} bytes are more than the limit of {most:,}" in (e or "") for e in found.errors)
            == errors
        )


def test_no_rows_at_all():
    assert collect([], 8).embedding.shape == (0, 8)
