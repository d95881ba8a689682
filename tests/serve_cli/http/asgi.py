"""Requests to an application without a socket, with full control of when the client sends and leaves."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from serve_cli.http.app import make_app
from serve_cli.http.serve_options import ServeOptions

LEAVE = object()  # a part of a body: the client closes the connection
WAIT = object()  # the client sends nothing more, and stays


@dataclass
class Reply:
    status: int = 0  # 0 if there was none
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return dict(self.headers).get(name)


async def ask(app, method, path, *parts, headers=(), query=b""):
    """Send a request whose body comes in ``parts``, and return the reply."""
    reply, waiting = Reply(), list(parts) or [b""]

    async def receive():
        if not waiting or waiting[0] is WAIT:
            await asyncio.Event().wait()
        part = waiting.pop(0)
        if part is LEAVE:
            return {"type": "http.disconnect"}
        if callable(part):
            await part()
            return await receive()
        more = any(later is not LEAVE and not callable(later) for later in waiting)
        return {"type": "http.request", "body": part, "more_body": more}

    async def send(message):
        if message["type"] == "http.response.start":
            assert not reply.status
            reply.status = message["status"]
            reply.headers = [(name.decode().lower(), value.decode()) for name, value in message["headers"]]
        else:
            reply.body += message["body"]

    names = {name for name, _ in headers}
    given = [*headers, *([] if "host" in names else [("host", "127.0.0.1:8080")])]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in given],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
    }
    await app(scope, receive, send)
    return reply


def serving(model, run, **options):
    """Open an application on a model, await ``run(app)``, close it, and return the result."""

    async def main():
        app = make_app(ServeOptions(source=model, **{"access_log": False, **options}))
        await app.holder.open()
        try:
            return await run(app)
        finally:
            await app.holder.close()

    return asyncio.run(main())


def samples(exposition):
    """Prometheus's text -> numbers by name with labels, without those of histograms' buckets."""
    lines = [line for line in exposition.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines) if "_bucket" not in name}
