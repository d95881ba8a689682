"""Images by URL, from a web server on loopback, which only these tests allow."""

import asyncio
import socket
import threading

import pytest

from serve_cli.http.allowed_hosts import AllowedHosts
from serve_cli.http.remote_images import RemoteImages
from tests.serve_cli.http.parsing.refusals import refused
from tests.serve_cli.web_server import serving

CONTENT = bytes(range(256)) * 20


@pytest.fixture
def web(tmp_path):
    for name in ("a.jpg", "b c.png", "c.bin"):
        (tmp_path / name).write_bytes(CONTENT)
    (tmp_path / "page.html").write_text("<p>")
    with serving(tmp_path) as server:
        yield server


def port_of(server):
    return server.server_address[1]


def remote(server, *others, max_bytes=1 << 20, seconds=5.0):
    hosts = AllowedHosts((f"127.0.0.1:{port_of(server)}", f"localhost:{port_of(server)}", *others))
    return RemoteImages(hosts, max_bytes, seconds, is_allowed={"127.0.0.1", "::1"}.__contains__)


def fetch(images, *urls):
    return asyncio.run(images.fetch(urls))


def test_images_in_order(web):
    assert fetch(remote(web), f"{web.url}/a.jpg", f"{web.url}/b c.png", f"{web.url}/c.bin?x=1#y") == [CONTENT] * 3


def test_names_are_resolved(web):
    assert fetch(remote(web), f"http://localhost:{port_of(web)}/a.jpg") == [CONTENT]


def test_off_by_default(web):
    with refused(403, "are off on this server"):
        fetch(RemoteImages(AllowedHosts(()), 100), f"{web.url}/a.jpg")


def test_loopback_is_refused(web):
    images = RemoteImages(AllowedHosts((f"localhost:{port_of(web)}",)), 1 << 20)
    with refused(403, "not public"):
        fetch(images, f"http://localhost:{port_of(web)}/a.jpg")
    assert not web.asked


def test_one_bad_address_of_a_name_is_enough(web, monkeypatch):
    resolve_to(monkeypatch, "127.0.0.1", "10.0.0.1")
    with refused(403, "not public"):
        fetch(remote(web), f"http://localhost:{port_of(web)}/a.jpg")
    assert not web.asked


def test_a_name_is_resolved_once_and_the_checked_address_is_used(web, monkeypatch):
    """A name server that gives another address the second time (DNS rebinding)."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    asked = []

    async def resolve(self, host, *arguments, **options):
        asked.append(host)
        if host == "127.0.0.1":  # a connection to the address itself
            return entries("127.0.0.1", port_of(web))
        return entries(*next(answers), port_of(web))

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    assert fetch(remote(web), f"http://localhost:{port_of(web)}/a.jpg") == [CONTENT]
    assert asked.count("localhost") == 1


def resolve_to(monkeypatch, *addresses):
    async def resolve(self, host, port, **options):
        return entries(*addresses, port)

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)


def entries(*addresses_and_port):
    *addresses, port = addresses_and_port
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


def test_redirects_are_followed_and_checked(web):
    web.redirects = {"/1": "/2", "/2": f"http://localhost:{port_of(web)}/3", "/3": "a.jpg"}
    assert fetch(remote(web), f"{web.url}/1") == [CONTENT]
    web.redirects = {"/1": "http://169.254.169.254/latest/meta-data/"}
    with refused(403, "not allowed"):
        fetch(remote(web), f"{web.url}/1")
    with refused(403, "not public"):
        fetch(remote(web, "*"), f"{web.url}/1")
    web.redirects = {"/1": "file:///etc/passwd"}
    with refused(422, "cannot be used"):
        fetch(remote(web), f"{web.url}/1")


def test_at_most_three_redirects(web):
    web.redirects = {f"/{number}": f"/{number + 1}" for number in range(9)}
    with refused(422, "redirects more than 3 times"):
        fetch(remote(web), f"{web.url}/0")
    assert [path for path, _ in web.asked] == ["/0", "/1", "/2", "/3"]


def test_sizes_are_bounded(web):
    with refused(422, "5,120 bytes or more; expected at most 5,000"):
        fetch(remote(web, max_bytes=5000), f"{web.url}/a.jpg")
    with refused(422, "expected at most 9,000"):
        fetch(remote(web, max_bytes=9000), *[f"{web.url}/a.jpg"] * 2)
    web.habits = {"/a.jpg": ["promises much", "never ends"]}
    for _ in range(2):
        with refused(422, "expected at most 5,000"):
            fetch(remote(web, max_bytes=5000), f"{web.url}/a.jpg")


@pytest.mark.parametrize("habit", ["drips", "falls silent"])
def test_time_is_bounded(web, habit):
    web.habits = {"/a.jpg": [habit]}
    with refused(422, "no image within 0.2 s"):
        fetch(remote(web, seconds=0.2), f"{web.url}/a.jpg")


@pytest.mark.parametrize(
    ("path", "problem"),
    [("/page.html", "'text/html'"), ("/missing.jpg", "status 404"), ("/hangs up", "cannot be fetched")],
)
def test_what_is_no_image(web, path, problem):
    web.habits = {"/hangs%20up": ["hangs up"]}
    with refused(422, problem):
        fetch(remote(web), web.url + path)


def test_closed_ports_and_unknown_names(web):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with refused(422, "cannot be fetched from '127.0.0.1'"):
            fetch(remote(web, f"127.0.0.1:{port}"), f"http://127.0.0.1:{port}/a.jpg")
    with refused(422, "cannot be resolved"):
        fetch(remote(web, "missing.invalid"), "http://missing.invalid/a.jpg")


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
        b"\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"",
    ],
)
def test_damaged_replies(web, reply):
    with answering(reply) as port, refused(422, "cannot be fetched"):
        fetch(remote(web, f"127.0.0.1:{port}"), f"http://127.0.0.1:{port}/a.jpg")


def test_encoded_content_is_refused(web):
    """A small gzip could expand to gigabytes."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"
    with answering(reply) as port, refused(422, "expected an unencoded image"):
        fetch(remote(web, f"127.0.0.1:{port}"), f"http://127.0.0.1:{port}/a.jpg")


def test_urls_cannot_add_headers(web):
    with refused(422, "control character"):
        fetch(remote(web), f"{web.url}/a.jpg\r\nX-Evil: 1")
    web.redirects = {"/1": "/a.jpg%0d%0aX-Evil:%201"}
    with refused(422, "status 404"):
        fetch(remote(web), f"{web.url}/1")


class answering:  # noqa: N801  # used as a function
    """A server that sends the same bytes to everyone."""

    def __init__(self, reply):
        self._reply, self._socket = reply, socket.create_server(("127.0.0.1", 0))

    def __enter__(self):
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()
        return self._socket.getsockname()[1]

    def _answer(self):
        connection, _ = self._socket.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(self._reply)

    def __exit__(self, *error):
        self._thread.join(5)
        self._socket.close()
