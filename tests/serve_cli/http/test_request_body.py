from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("starlette", reason="the service needs the extra http")

from serve_cli.http.limits import RequestLimits
from tests.serve_cli.http.asgi import LEAVE, WAIT, ask, serving
from tests.serve_cli.photos import photo

LIMITS = RequestLimits(body_bytes=2000, body_seconds=0.05)
IMAGE = [("content-type", "image/jpeg")]


def test_a_body_in_parts_is_the_body(model, tmp_path):
    jpeg = photo(tmp_path / "photo.jpg", 3).read_bytes()

    async def run(app):
        whole = await ask(app, "POST", "/embed", jpeg, headers=IMAGE)
        parts = [jpeg[start : start + 100] for start in range(0, len(jpeg), 100)]
        return whole, await ask(app, "POST", "/embed", *parts, headers=IMAGE), app.holder.current.memory._body_bytes

    whole, in_parts, held = serving(model, run)
    assert whole.status == 200
    assert in_parts.body == whole.body
    assert held == 0


@pytest.mark.parametrize(
    ("parts", "headers"),
    [
        ([WAIT], [("content-length", "2001")]),  # refused before it is sent
        ([b"x" * 2001], [("content-length", "10")]),
        ([b"x" * 2001], []),
        ([b"x" * 999] * 4, [("content-length", "-5")]),
        ([b"x"] * 2001, [("transfer-encoding", "chunked")]),
    ],
)
def test_a_body_beyond_the_limit_is_413(model, parts, headers):
    async def run(app):
        return await ask(
            app, "POST", "/embed", *parts, headers=[*IMAGE, *headers]
        ), app.holder.current.memory._body_bytes

    reply, held = serving(model, run, limits=LIMITS)
    assert reply.status == 413
    assert reply.header("connection") == "close"
    assert "2,000" in reply.json["error"]["message"]
    assert held == 0


def test_a_body_that_does_not_come_is_408(model):
    async def drip():
        await asyncio.sleep(0.01)

    async def run(app):
        stuck = await ask(app, "POST", "/embed", b"x", WAIT, headers=IMAGE)
        dripping = [part for _ in range(50) for part in (b"x", drip)]
        return stuck, await ask(app, "POST", "/embed", *dripping, b"x", headers=IMAGE)

    stuck, slow = serving(model, run, limits=LIMITS)
    assert stuck.status == slow.status == 408
    assert stuck.header("connection") == "close"


def test_a_client_that_leaves_while_sending_is_let_go(model):
    async def run(app):
        return await ask(app, "POST", "/embed", b"x", LEAVE, b"y", headers=IMAGE), app.holder.current.memory._body_bytes

    reply, held = serving(model, run)
    assert (reply.status, held) == (0, 0)


def test_all_bodies_together_are_bounded(model):
    async def run(app):
        memory = app.holder.current.memory
        memory.most_body_bytes = 3000
        first = asyncio.ensure_future(ask(app, "POST", "/embed", b"x" * 2000, WAIT, headers=IMAGE))
        while not memory._body_bytes:
            await asyncio.sleep(0)
        second = await ask(app, "POST", "/embed", b"x" * 1500, headers=IMAGE)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        third = await ask(app, "POST", "/embed", b"x" * 1500, headers=IMAGE)
        return second, third, memory._body_bytes

    second, third, held = serving(model, run)
    assert (second.status, third.status, held) == (429, 422, 0)
    assert second.header("retry-after") == "1"
