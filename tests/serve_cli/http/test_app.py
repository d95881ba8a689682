from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the service needs the extra http")

from gluon_lifted.errors import DataError, DeviceError
from gluon_lifted.images import center_crop, read_image
from serve_cli.http.access_log import AccessLog
from serve_cli.http.app import make_app
from serve_cli.http.limits import RequestLimits
from serve_cli.http.serve_options import ServeOptions
from tests.serve_cli.http.asgi import LEAVE, WAIT, ask, samples, serving
from tests.serve_cli.photos import photo


@pytest.fixture
def jpeg(tmp_path):
    return photo(tmp_path / "photo.jpg", 3).read_bytes()


def test_a_process_is_live_before_it_is_ready(model, jpeg):
    async def run():
        app = make_app(ServeOptions(source=model, access_log=False))
        before = [(await ask(app, "GET", path)).status for path in ("/live", "/ready")]
        refused = await ask(app, "POST", "/embed", jpeg)
        await app.holder.open()
        after = [(await ask(app, "GET", path)).status for path in ("/live", "/ready")]
        app.holder.draining = True
        last = [await ask(app, "GET", path) for path in ("/live", "/ready")]
        await app.holder.close()
        return before, refused, after, last

    before, refused, after, last = asyncio.run(run())
    assert before == [200, 503]
    assert refused.status == 503
    assert refused.header("retry-after") == "1"
    assert after == [200, 200]
    assert [reply.status for reply in last] == [200, 503]
    assert last[0].header("connection") == "close"


@pytest.mark.parametrize("path", ["/embed", "/v1/embeddings"])
def test_a_full_queue_refuses_before_the_body_is_read(model, jpeg, path):
    async def run(app):
        queue = app.holder.current.batcher._queue
        lanes, queue.free_lanes = queue.free_lanes, 0  # the first image stays in the queue
        first = asyncio.ensure_future(ask(app, "POST", "/embed", jpeg, headers=[("content-type", "image/jpeg")]))
        while not queue.waiting:
            await asyncio.sleep(0.001)
        refused = await ask(app, "POST", path, WAIT)
        listed = await ask(app, "GET", "/v1/models")
        queue.free_lanes = lanes
        app.holder.current.batcher.close()
        return refused, listed, await first, samples(app.metrics.exposition())

    refused, listed, first, counted = serving(model, run, max_waiting=1, limits=RequestLimits(images=1))
    assert (refused.status, listed.status, first.status) == (429, 200, 200)
    assert counted[f'lifted_requests_total{{route="{path}",status="429"}}'] == 1
    assert refused.header("retry-after") == "1"
    assert refused.json["error"]["type"] == "overloaded"


def test_an_embedding_is_the_embedders_bit_for_bit(model, jpeg):
    async def run(app):
        reply = await ask(app, "POST", "/embed", jpeg, headers=[("content-type", "image/jpeg")])
        embedder = app.holder.current.embedder
        preprocessing = embedder.card.preprocessing
        pixels = center_crop(read_image(jpeg, preprocessing), preprocessing.crop)
        return reply, embedder.embed(pixels[None])

    reply, expected = serving(model, run)
    assert reply.status == 200
    assert np.float32(reply.json["embeddings"]).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/embed", b"not an image", 422, "unprocessable"),
        ("POST", "/embed", b"", 400, "invalid_request"),
        ("GET", "/embed", b"", 405, "method_not_allowed"),
        ("GET", "/nowhere", b"", 404, "not_found"),
        ("GET", "/../etc/passwd", b"", 404, "not_found"),
        ("POST", "/admin/reload", b"", 403, "forbidden"),
    ],
)
def test_errors_have_openais_form_and_every_reply_is_guarded(model, method, path, body, status, kind):
    async def run(app):
        headers = [("content-type", "image/jpeg")] if body or path == "/embed" else []
        return await ask(app, method, path, body, headers=headers)

    reply = serving(model, run)
    assert reply.status == status
    assert reply.json["error"]["type"] == kind
    assert reply.json["error"]["status"] == status
    assert reply.header("x-content-type-options") == "nosniff"
    assert reply.header("content-security-policy").startswith("default-src 'none'")
    assert reply.header("cache-control") == "no-store"
    assert reply.header("access-control-allow-origin") is None


@pytest.mark.parametrize(
    ("error", "status"), [(ZeroDivisionError("/secret"), 500), (DeviceError("/secret: out of memory"), 500)]
)
def test_what_is_not_the_requests_fault_stays_in_the_log(model, jpeg, monkeypatch, caplog, error, status):
    async def fail(*_):
        raise error

    async def run(app):
        monkeypatch.setattr(app.holder.current.batcher, "embed", fail)
        return await ask(app, "POST", "/embed", jpeg, headers=[("content-type", "image/jpeg")])

    with caplog.at_level(logging.ERROR, "serve_cli"):
        reply = serving(model, run)
    assert reply.status == status
    assert b"secret" not in reply.body
    assert "secret" in caplog.text


def test_replies_do_not_show_where_files_are(model, jpeg, monkeypatch):
    async def fail(*_):
        raise DataError(f"{model}: has no row 7")

    async def run(app):
        monkeypatch.setattr(app.holder.current.batcher, "embed", fail)
        return await ask(app, "POST", "/embed", jpeg, headers=[("content-type", "image/jpeg")])

    reply = serving(model, run)
    assert (reply.status, reply.json["error"]["message"]) == (422, "tiny.onnx: has no row 7")


def test_a_client_that_leaves_gets_no_reply_and_its_images_are_dropped(model, jpeg):
    async def run(app):
        service = app.holder.current
        gone = asyncio.Event()

        async def until_queued():
            while not service.batcher.waiting:
                await asyncio.sleep(0.001)
            gone.set()

        lanes, service.batcher._queue.free_lanes = service.batcher._queue.free_lanes, 0  # nothing reaches the network
        reply = await ask(app, "POST", "/embed", jpeg, until_queued, LEAVE, headers=[("content-type", "image/jpeg")])
        service.batcher._queue.free_lanes = lanes
        assert gone.is_set()
        assert service.batcher.waiting == 0
        early = await ask(app, "POST", "/embed", b"half", LEAVE, b"never", headers=[("content-type", "image/jpeg")])
        return reply, early, samples(app.metrics.exposition())

    reply, early, counted = serving(model, run)
    assert reply.status == early.status == 0
    assert counted['lifted_images_total{outcome="dropped"}'] == 1
    assert counted['lifted_images_total{outcome="embedded"}'] == 0
    assert counted['lifted_requests_total{route="/embed",status="499"}'] == 2


def test_counters_add_up(model, jpeg):
    async def run(app):
        image = [("content-type", "image/jpeg")]
        good = [ask(app, "POST", "/embed", jpeg, headers=image) for _ in range(20)]
        bad = [ask(app, "POST", "/embed", jpeg[:100], headers=image) for _ in range(5)]
        left = [ask(app, "POST", "/embed", jpeg, LEAVE, headers=image) for _ in range(7)]
        replies = await asyncio.gather(*good, *bad, *left, ask(app, "GET", "/nowhere"))
        while app.holder.current.batcher.waiting:
            await asyncio.sleep(0.001)
        exposition = (await ask(app, "GET", "/metrics")).body
        return replies, samples(exposition)

    replies, counted = serving(model, run)
    statuses = [reply.status for reply in replies]
    by_status = {
        status: sum(
            value for name, value in counted.items() if "requests_total" in name and f'status="{status}"' in name
        )
        for status in (200, 404, 422, 499)
    }
    assert by_status == {200: 20, 404: 1, 422: 5, 499: 7}
    assert statuses.count(200) == 20
    outcomes = [
        counted[f'lifted_images_total{{outcome="{outcome}"}}']
        for outcome in ("admitted", "embedded", "failed", "dropped")
    ]
    assert outcomes[0] == sum(outcomes[1:])
    assert outcomes[2] == 5
    assert counted["lifted_queue_images"] == 0
    assert counted["lifted_requests_in_flight"] == 1  # the one that asked
    assert counted["lifted_batch_images_sum"] == outcomes[1]


def test_a_late_answer_is_504(model, jpeg):
    async def run(app):
        app.holder.current.batcher._queue.free_lanes = 0  # nothing reaches the network
        return await ask(app, "POST", "/embed", jpeg, headers=[("content-type", "image/jpeg")])

    reply = serving(model, run, limits=RequestLimits(seconds=0.05))
    assert reply.status == 504


def lose_device(*_):
    raise DeviceError("it is gone.")


def never_run(app):
    app.holder.current.batcher._queue.free_lanes = 0  # nothing reaches the network


@pytest.mark.parametrize(
    ("content", "content_type", "prepare", "status"),
    [
        (b"no image", "image/jpeg", None, 422),
        (None, "text/plain", None, 415),
        (b"{", "application/json", None, 400),
        (None, "image/jpeg", never_run, 504),
        (None, "image/jpeg", lambda app: setattr(app.holder.current.batcher._embedder, "embed", lose_device), 500),
        (None, "image/jpeg", None, 200),
    ],
)
def test_a_body_is_freed_with_its_reply(model, jpeg, content, content_type, prepare, status):
    body = bytes(bytearray(content or jpeg))  # an object of its own

    async def run(app):
        if prepare is not None:
            prepare(app)
        path = "/v1/embeddings" if content_type == "application/json" else "/embed"
        gc.disable()  # a server's collector runs rarely
        try:
            before = sys.getrefcount(body)
            reply = await ask(app, "POST", path, body, headers=[("content-type", content_type)])
            for _ in range(100):  # until the thread that decoded it has gone on
                if sys.getrefcount(body) > before:
                    await asyncio.sleep(0.01)
            return reply, sys.getrefcount(body) - before
        finally:
            gc.enable()

    reply, held = serving(model, run, limits=RequestLimits(seconds=0.2))
    assert reply.status == status
    assert held == 0


def test_the_access_log_has_a_line_of_json_per_request_without_the_query(model, jpeg, tmp_path):
    async def run(app):
        file = (tmp_path / "log").open("wb")
        app._log = AccessLog(file.fileno())
        ids = [("x-request-id", "abc-1"), ("content-type", "image/jpeg")]
        first = await ask(app, "POST", "/embed", jpeg, headers=ids, query=b"token=secret")
        await ask(app, "GET", "/live\n{}", headers=[("x-request-id", "a\nb")])
        app._log.close()
        file.close()
        return first

    first = serving(model, run)
    lines = (tmp_path / "log").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [(entry["method"], entry["path"], entry["status"]) for entry in entries] == [
        ("POST", "/embed", 200),
        ("GET", "/live\n{}", 404),
    ]
    assert entries[0]["id"] == "abc-1" == first.header("x-request-id")
    assert entries[1]["id"] != "a\nb"
    assert entries[0]["images"] == 1
    assert entries[0]["bytes"] == len(jpeg)
    assert "secret" not in lines[0]
