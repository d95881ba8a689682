from __future__ import annotations

import asyncio
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the service needs the extra http")

from gluon_lifted.errors import ConfigError, DeviceError
from gluon_lifted.images import DecodeLimits, center_crop, read_image
from serve_cli.http.batching.batcher import Batcher
from serve_cli.http.batching.errors import DeadlineError, QueueFullError
from tests.serve_cli.http.held_embedder import POISON, Counts, HeldEmbedder, squares
from tests.serve_cli.photos import photo


@contextmanager
def batching(model, max_waiting=16, **embedder):
    held, counts = HeldEmbedder(model, **embedder), Counts()
    batcher = Batcher(held, DecodeLimits(), max_waiting, counts)
    try:
        yield batcher, held, counts
    finally:
        held.free.set()
        batcher.close()


def later(seconds=20.0):
    return asyncio.get_running_loop().time() + seconds


async def until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen")


async def hold_the_lane(batcher, held, value=1):
    """Occupy the only lane with one image."""
    task = asyncio.ensure_future(batcher.embed_pixels(squares(value), later()))
    await asyncio.to_thread(held.entered.acquire)
    return task


@pytest.fixture
def files(tmp_path):
    return [photo(tmp_path / f"{seed}.jpg", seed).read_bytes() for seed in range(4)]


def test_an_idle_batcher_embeds_at_once_and_exactly(model, files):
    async def run():
        return [await batcher.embed([file], later()) for file in files]

    with batching(model) as (batcher, held, _):
        held.free.set()
        results = asyncio.run(run())
    assert held.sizes == [1, 1, 1, 1]
    preprocessing = held.card.preprocessing
    for file, (result,) in zip(files, results, strict=True):
        pixels = center_crop(read_image(file, preprocessing), preprocessing.crop)
        assert result.embedding.tobytes() == held.real.embed(pixels[None])[0].tobytes()


def test_a_free_lane_takes_what_waits_up_to_the_batch_size(model):
    values = list(range(10, 16))

    async def run():
        first = await hold_the_lane(batcher, held)
        others = [asyncio.ensure_future(batcher.embed_pixels(squares(value), later())) for value in values]
        await until(lambda: batcher.waiting == len(values))
        held.free.set()
        await first
        return await asyncio.gather(*others)

    with batching(model) as (batcher, held, _):
        results = asyncio.run(run())
    assert held.sizes == [1, 4, 2]
    expected = np.concatenate([held.real.embed(squares(*values[:4])), held.real.embed(squares(*values[4:]))])
    assert np.concatenate(results).tobytes() == expected.tobytes()


def test_results_come_in_the_order_of_the_images(model, files):
    async def run():
        return await batcher.embed([*files, b"not an image", *files], later())

    with batching(model) as (batcher, held, counts):
        held.free.set()
        results = asyncio.run(run())
    assert [result.error is None for result in results] == [True] * 4 + [False] + [True] * 4
    assert results[4].error.startswith("image: cannot be read")
    preprocessing = held.card.preprocessing
    for file, result in zip(files + files, results[:4] + results[5:], strict=True):
        pixels = center_crop(read_image(file, preprocessing), preprocessing.crop)
        np.testing.assert_allclose(result.embedding, held.real.embed(pixels[None])[0], rtol=1e-5)
    assert (counts.admitted, counts.embedded, counts.failed, counts.dropped) == (9, 8, 1, 0)


def test_a_full_queue_refuses_at_once_and_says_when_to_return(model):
    async def run():
        first = await hold_the_lane(batcher, held)
        waiting = asyncio.ensure_future(batcher.embed_pixels(squares(1, 2, 3), later()))
        await until(lambda: batcher.waiting == 3)
        with pytest.raises(QueueFullError, match=r"the queue has 3 of at most 4 images") as refused:
            await batcher.embed_pixels(squares(1, 2), later())
        assert batcher.waiting == 3  # the lane is still held: nothing was waited for
        assert refused.value.retry_after >= 1
        last = asyncio.ensure_future(batcher.embed_pixels(squares(9), later()))  # a single one still fits
        await until(lambda: batcher.waiting == 4)
        held.free.set()
        await asyncio.gather(first, waiting, last)

    with batching(model, max_waiting=4) as (batcher, held, counts):
        asyncio.run(run())
        assert batcher.waiting == 0
    assert (counts.admitted, counts.embedded) == (5, 5)


def test_work_of_clients_that_left_never_reaches_the_network(model, files):
    async def run():
        first = await hold_the_lane(batcher, held)
        leaving = asyncio.ensure_future(batcher.embed(files, later()))
        staying = asyncio.ensure_future(batcher.embed_pixels(squares(7), later()))
        await until(lambda: batcher.waiting == 5)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert batcher.waiting == 1
        held.free.set()
        await asyncio.gather(first, staying)

    with batching(model) as (batcher, held, counts):
        asyncio.run(run())
    assert held.sizes == [1, 1]
    assert (held.batches[1] == 7).all()
    assert (counts.admitted, counts.embedded, counts.dropped) == (6, 2, 4)


def test_work_beyond_its_deadline_is_dropped(model):
    async def run():
        first = await hold_the_lane(batcher, held)
        with pytest.raises(DeadlineError, match="not ready in time"):
            await batcher.embed_pixels(squares(5), later(0.02))
        assert batcher.waiting == 0
        held.free.set()
        await first

    with batching(model) as (batcher, held, counts):
        asyncio.run(run())
    assert held.sizes == [1]
    assert (counts.admitted, counts.embedded, counts.dropped) == (2, 1, 1)


def test_an_image_that_breaks_the_network_fails_alone(model):
    values = (20, POISON, 30)

    async def run():
        first = await hold_the_lane(batcher, held)
        tasks = [asyncio.ensure_future(batcher.embed_pixels(squares(value), later())) for value in values]
        await until(lambda: batcher.waiting == 3)
        held.free.set()
        return await asyncio.gather(first, *tasks, return_exceptions=True)

    with batching(model) as (batcher, held, counts):
        _, good, bad, fine = asyncio.run(run())
    assert isinstance(bad, DeviceError)
    assert good.tobytes() == held.real.embed(squares(20)).tobytes()
    assert fine.tobytes() == held.real.embed(squares(30)).tobytes()
    assert held.sizes == [1, 3, 1, 1, 1]
    assert (counts.admitted, counts.embedded, counts.failed) == (4, 3, 1)


def test_an_output_that_is_not_finite_is_an_error_of_its_image(model, monkeypatch):
    async def run():
        return await batcher.embed([file, file], later())

    with batching(model) as (batcher, held, counts):
        file = photo(held.model.parent / "photo.jpg").read_bytes()
        real = held.real.embed

        def sometimes_infinite(pixels):
            rows = real(pixels)
            if len(held.batches) == 1:
                rows[0, 3] = np.inf
            return rows

        monkeypatch.setattr(held.real, "embed", sometimes_infinite)
        held.free.set()
        results = asyncio.run(run())
    errors = [result.error for result in results if result.error is not None]
    assert errors in (["image: the network's output is not finite."],)
    assert counts.embedded == counts.failed == 1


def test_a_bug_in_decoding_fails_its_request_and_no_thread(model, files, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a bug")

    async def run():
        with monkeypatch.context() as patch:
            patch.setattr("serve_cli.http.batching.batcher.read_image", broken)
            with pytest.raises(ZeroDivisionError):
                await batcher.embed(files, later())
        return await batcher.embed(files, later())

    with batching(model) as (batcher, held, counts):
        held.free.set()
        results = asyncio.run(run())
    assert [result.error for result in results] == [None] * 4
    assert counts.admitted == 8 == counts.embedded + counts.failed + counts.dropped


def test_close_finishes_what_was_admitted(model):
    async def run():
        first = await hold_the_lane(batcher, held)
        waiting = asyncio.ensure_future(batcher.embed_pixels(squares(1, 2, 3), later()))
        await until(lambda: batcher.waiting == 3)
        closing = asyncio.ensure_future(asyncio.to_thread(batcher.close))
        await until(lambda: batcher._closed)
        with pytest.raises(ConfigError, match="closed"):
            await batcher.embed_pixels(squares(4), later())
        held.free.set()
        results = await asyncio.gather(first, waiting)
        await closing
        return results

    with batching(model) as (batcher, held, _):
        assert [len(rows) for rows in asyncio.run(run())] == [1, 3]


def test_no_images_and_wrong_pixels(model):
    async def run():
        assert await batcher.embed([], later()) == []
        assert (await batcher.embed_pixels(squares(1)[:0], later())).shape == (0, 8)
        with pytest.raises(ConfigError, match="uint8"):
            await batcher.embed_pixels(squares(1).astype(np.float32), later())

    with batching(model) as (batcher, _, counts):
        asyncio.run(run())
    assert counts.admitted == 0
