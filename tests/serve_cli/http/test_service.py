from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

pytest.importorskip("starlette", reason="the service needs the extra http")

from gluon_lifted.errors import ConfigError, LiftedError, RunError
from serve_cli.http.batching.errors import DeadlineError, QueueFullError
from serve_cli.http.limits import RequestLimits
from serve_cli.http.memory import LEAST
from serve_cli.http.serve_options import ServeOptions
from serve_cli.http.service import Service, ServiceHolder
from tests.serve_cli.http.asgi import ask, samples, serving
from tests.serve_cli.photos import photo
from tests.serve_cli.tiny_model import CARD, write_model


def later(seconds=20.0):
    return asyncio.get_running_loop().time() + seconds


async def until(condition):
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen")


def test_a_reload_switches_and_the_old_model_lives_as_long_as_its_requests(model, tmp_path):
    jpeg = photo(tmp_path / "photo.jpg").read_bytes()
    image = [("content-type", "image/jpeg")]

    async def run(app):
        old = app.holder.current
        with app.holder.use() as used:
            assert used is old
            write_model(model, replace(CARD, dim=5))
            new = await app.holder.reload()
            assert app.holder.current is new is not old
            results = await old.batcher.embed([jpeg], later())  # the old one still works
            fresh = await ask(app, "POST", "/embed", jpeg, headers=image)
        await until(lambda: old.embedder._closed)
        assert not new.embedder._closed
        return len(results[0].embedding), fresh.json["dim"], samples(app.metrics.exposition())

    before, after, counted = serving(model, run)
    assert (before, after) == (CARD.dim, 5)
    assert counted['lifted_reloads_total{outcome="switched"}'] == 1


def test_a_reload_that_fails_keeps_the_old_model(model, tmp_path):
    jpeg = photo(tmp_path / "photo.jpg").read_bytes()
    token = tmp_path / "tokens"
    token.write_text("0123456789abcdef")
    key = [("authorization", "Bearer 0123456789abcdef")]

    async def run(app):
        old = app.holder.current
        model.write_bytes(b"not a model")
        with pytest.raises(RunError):
            await app.holder.reload()
        by_request = await ask(app, "POST", "/admin/reload", headers=key)
        assert app.holder.current is old
        reply = await ask(app, "POST", "/embed", jpeg, headers=[*key, ("content-type", "image/jpeg")])
        write_model(model)
        again = await ask(app, "POST", "/admin/reload", headers=key)
        assert app.holder.current is not old
        return by_request, reply, again, samples(app.metrics.exposition())

    by_request, reply, again, counted = serving(model, run, token_file=token)
    assert (by_request.status, reply.status, again.status) == (409, 200, 200)
    assert by_request.json["error"]["message"].startswith("not reloaded: ")
    assert again.json["model"] == "tiny"
    assert counted['lifted_reloads_total{outcome="kept"}'] == 2


def test_reloads_under_load_fail_no_request(model, tmp_path):
    jpeg = photo(tmp_path / "photo.jpg").read_bytes()

    async def run(app):
        done = False

        async def client():
            statuses = []
            while not done:
                reply = await ask(app, "POST", "/embed", jpeg, headers=[("content-type", "image/jpeg")])
                statuses.append(reply.status)
            return statuses

        clients = [asyncio.ensure_future(client()) for _ in range(4)]
        services = {await app.holder.reload() for _ in range(3)}
        done = True
        statuses = [status for statuses in await asyncio.gather(*clients) for status in statuses]
        last = app.holder.current
        await until(lambda: all(service.embedder._closed for service in services - {last}))
        return statuses

    statuses = serving(model, run)
    assert len(statuses) > 4
    assert set(statuses) == {200}


def test_what_cannot_be_served_is_refused(model, tmp_path):
    for options, problem in [
        ({"source": tmp_path / "missing.onnx"}, "no such file"),
        ({"source": model, "model": model}, "only with an index"),
        ({"source": tmp_path}, "index"),
        ({"source": model, "max_memory": 1_000_000}, r"Give --max-memory \d+MB or more"),
    ]:
        with pytest.raises(LiftedError, match=problem):
            Service.open(ServeOptions(**options))


def test_memory_is_divided_within_the_limit(model):
    service = Service.open(ServeOptions(source=model, max_memory=2_000_000_000))
    try:
        memory = service.memory
        assert memory.most_body_bytes > LEAST // 10
        assert 3 * memory.most_body_bytes + memory.decoding.max_bytes < 2_000_000_000
        assert memory.decoding.max_pixels == 64_000_000
    finally:
        service.close()


def test_calls_in_threads_are_bounded_in_number_and_time(model):
    async def run():
        free = threading.Event()
        with pytest.raises(DeadlineError):
            await service.call(free.wait, later(0.01))
        others = [asyncio.ensure_future(service.call(free.wait, later())) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await service.call(free.wait, later())
        free.set()
        assert await asyncio.gather(*others) == [True] * 3
        await until(lambda: not service._calls)
        assert await service.call(lambda: 7, later()) == 7

    service = Service.open(ServeOptions(source=model, max_waiting=4, limits=RequestLimits(images=4)))
    try:
        asyncio.run(run())
    finally:
        service.close()


def test_a_holder_without_service_lends_none(model):
    holder = ServiceHolder(ServeOptions(source=model))
    with holder.use() as service:
        assert service is None


def test_options_that_contradict_themselves(model):
    for options, problem in [
        ({"port": 70_000}, "port 70000"),
        ({"workers": 0}, "the number of workers is 0"),
        ({"max_waiting": 10}, "never be accepted"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            ServeOptions(source=model, **options)
