from __future__ import annotations

import asyncio
import errno
import signal
import socket

import pytest

pytest.importorskip("starlette", reason="the service needs the extra http")

from gluon_lifted.errors import ConfigError, RunError
from serve_cli.http import draining_server, protocol
from serve_cli.http.app import make_app
from serve_cli.http.draining_server import DrainingServer
from serve_cli.http.limits import RequestLimits
from serve_cli.http.serve_options import ServeOptions
from serve_cli.http.server import listen
from tests.serve_cli.photos import photo


@pytest.fixture
def jpeg(tmp_path):
    return photo(tmp_path / "photo.jpg").read_bytes()


def post(body, length=None):
    size = len(body) if length is None else length
    head = f"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body


async def reply_of(reader):
    """Read a reply; None if the connection ends first."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return None
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    await reader.readexactly(length)
    return head


def on_a_server(model, run, **options):
    """Start a server, await ``run(server, connect)``, and end it; return the result and how it ended."""

    async def main():
        listener = listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        listener.setblocking(False)
        app = make_app(ServeOptions(source=model, access_log=False, **options), opens_itself=False)
        server = DrainingServer(app, listener, longest_s=5)
        serving = asyncio.ensure_future(server.serve([]))
        while app.holder.current is None and not serving.done():
            await asyncio.sleep(0.001)
        writers = []

        async def connect():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            return reader, writer

        result = await run(server, connect)
        server.begin_drain(signal.SIGTERM)
        await asyncio.wait_for(serving, 20)
        for writer in writers:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        return result, server

    return asyncio.run(main())


def test_a_drain_answers_what_was_sent(model, jpeg):
    async def run(server, connect):
        batcher = server._application.holder.current.batcher
        lanes, batcher._queue.free_lanes = batcher._queue.free_lanes, 0  # requests stay in the queue
        busy = [await connect() for _ in range(3)]
        idle, silent = await connect(), await connect()
        for _, writer in busy:
            writer.write(post(jpeg))
        half_reader, half_writer = await connect()
        half_writer.write(post(jpeg)[:-50])
        while batcher.waiting < 3:
            await asyncio.sleep(0.001)
        server.begin_drain(signal.SIGTERM)
        late = await connect()  # accepted by the system at least
        late[1].write(post(jpeg))
        idle[1].write(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        half_writer.write(post(jpeg)[-50:])
        replies = [await reply_of(idle[0])]
        batcher._queue.free_lanes = lanes
        with batcher._changed:
            batcher._changed.notify_all()
        replies += [await reply_of(reader) for reader, _ in [*busy, late, (half_reader, half_writer)]]
        return replies, await silent[0].read()

    (replies, silence), server = on_a_server(model, run)
    assert [reply.split()[1] for reply in replies] == ["503", *["200"] * 5]
    assert all("connection: close" in reply for reply in replies)
    assert silence == b""
    assert server.received == signal.SIGTERM


def test_all_connections_that_wait_are_accepted_at_once(model):
    async def run(server, connect):
        await asyncio.gather(*server._background)  # the model is open
        address = server._listener.getsockname()
        clients = [socket.create_connection(address) for _ in range(30)]  # the event loop does not run meanwhile
        server._accept()
        accepted = len(server._background)
        await asyncio.gather(*server._background)
        assert len(server.server_state.connections) == accepted
        for client in clients:
            client.close()
        return accepted

    assert on_a_server(model, run)[0] == 30


def test_without_file_descriptors_the_server_waits_and_lives_on(model, caplog, monkeypatch):
    async def run(server, connect):
        with monkeypatch.context() as patch:
            patch.setattr(server, "_listener", NoFiles(server._listener))
            server._accept()
        reader, writer = await connect()
        writer.write(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return await reply_of(reader)

    monkeypatch.setattr(draining_server, "NO_FILES_S", 0.01)
    assert on_a_server(model, run)[0].split()[1] == "200"
    assert "cannot accept connections: Too many open files." in caplog.text


def test_a_client_that_left_before_it_was_accepted_holds_up_no_one(model, caplog, monkeypatch):
    async def run(server, connect):
        with monkeypatch.context() as patch:
            patch.setattr(server, "_listener", Aborted())
            server._accept()

    on_a_server(model, run)
    assert "cannot accept connections" not in caplog.text


class Aborted:
    """A socket whose next client has left."""

    def accept(self):
        raise ConnectionAbortedError(errno.ECONNABORTED, "Software caused connection abort")


class NoFiles:
    """A socket that cannot accept."""

    def __init__(self, listener):
        self.fileno = listener.fileno

    def accept(self):
        raise OSError(errno.EMFILE, "Too many open files")


def test_a_second_signal_ends_at_once(model, jpeg):
    async def run(server, connect):
        server._application.holder.current.batcher._queue.free_lanes = 0
        reader, writer = await connect()
        writer.write(post(jpeg))
        await asyncio.sleep(0.05)
        server.begin_drain(signal.SIGTERM)
        return reader

    _, server = on_a_server(model, run, limits=RequestLimits(seconds=60))
    assert server.force_exit


@pytest.mark.parametrize(
    "sent", [b"", b"POST /embed HTTP/1.1\r\nHost: local", b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /li"]
)
def test_slow_headers_do_not_hold_a_connection(model, monkeypatch, sent):
    monkeypatch.setattr(protocol, "HEADER_S", 0.05)

    async def run(_, connect):
        reader, writer = await connect()
        writer.write(sent)
        return await asyncio.wait_for(_rest(reader), 10)

    rest, _ = on_a_server(model, run)
    assert rest.count(b"HTTP/1.1") == sent.count(b"\r\n\r\n")


async def _rest(reader):
    received = b""
    try:
        while part := await reader.read(4096):
            received += part
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("head", [b"X-Long: " + b"x" * 70_000, b"".join(b"X-%d: x\r\n" % i for i in range(10_000))])
def test_endless_headers_are_refused(model, head):
    async def run(_, connect):
        reader, writer = await connect()
        writer.write(b"GET /live HTTP/1.1\r\nHost: localhost\r\n" + head)
        return await asyncio.wait_for(_rest(reader), 5)

    rest, _ = on_a_server(model, run)
    assert rest.startswith(b"HTTP/1.1 400") or rest == b""  # lost if the rest arrives after the end


def test_a_body_without_end_is_cut_off(model):
    async def run(_, connect):
        reader, writer = await connect()
        writer.write(
            b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        try:
            for _ in range(10_000):
                writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            return "cut off"
        return await _rest(reader)

    rest, _ = on_a_server(model, run, limits=RequestLimits(body_bytes=100_000))
    assert rest == "cut off" or rest.startswith(b"HTTP/1.1 413")


def test_a_model_that_cannot_be_opened_ends_the_server(tmp_path):
    listener = listen("127.0.0.1", 0)
    app = make_app(ServeOptions(source=tmp_path / "missing.onnx", access_log=False), opens_itself=False)
    with pytest.raises(RunError, match="no such file"):
        DrainingServer(app, listener, longest_s=1).run_until_signal()


def test_a_port_in_use_is_an_error():
    taken = listen("127.0.0.1", 0)
    with pytest.raises(ConfigError, match="cannot listen on 127"):
        listen("127.0.0.1", taken.getsockname()[1])
    taken.close()
    with pytest.raises(ConfigError, match="cannot listen on no-such"):
        listen("no-such-host.invalid", 1)
