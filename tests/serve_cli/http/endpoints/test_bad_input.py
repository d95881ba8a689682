"""Bad input through the whole application: the documented error, never 500, and the service goes on."""

import io
import json
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings

from tests.serve_cli.http.parsing.test_fuzz import BODIES, JSON
from tests.serve_cli.http.served import base64_of, error_of

PNG = {"content-type": "image/png"}
POSTS = ("/embed", "/search", "/v1/embeddings", "/v2/models/tiny/infer")


def png(width, height, content=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n", "cannot be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image of a known format"),
        (b"<html><script>alert(1)</script>", "not an image of a known format"),
        (png(50_000, 50_000, zlib.compress(bytes(1 << 20))), "cannot be read"),  # a decompression bomb
        (png(1, 2**31 - 1), "cannot be read"),
        (png(0, 0), "cannot be read"),
        (png(64, 64, zlib.compress(b"short")), "cannot be read"),
    ],
)
def test_images_that_are_none(client, image, problem):
    for reply in (
        client.post("/embed", content=image, headers=PNG),
        client.post("/search", content=image, headers=PNG),
    ):
        assert problem in error_of(reply, 422)


@pytest.mark.parametrize("path", POSTS)
def test_wrong_content_types(client, path):
    if path.startswith("/v2"):  # any type: the header says where the JSON ends
        pytest.skip("KServe's clients send any content type")
    reply = client.post(path, content=b"<a/>", headers={"content-type": "application/xml"})
    assert "'application/xml'" in error_of(reply, 415)


@pytest.mark.parametrize("path", POSTS)
def test_compressed_bodies(client, path):
    reply = client.post(path, content=b"x", headers={"content-encoding": "gzip", **PNG})
    assert "uncompressed" in error_of(reply, 415)


@pytest.mark.parametrize("path", ["/embed", "/search"])
def test_ten_thousand_fields(client, path):
    fields = {f"f{number}": "x" for number in range(10_000)}
    reply = client.post(path, files=[(name, (None, value)) for name, value in fields.items()])
    assert "too many parts; expected at most" in error_of(reply, 413)


@pytest.mark.parametrize("path", POSTS)
def test_large_bodies(client, path):
    def without_length():
        for _ in range(40):
            yield bytes(1 << 15)

    for content in (bytes((1 << 20) + 1), without_length()):
        error_of(client.post(path, content=content, headers={"content-type": "application/json"}), 413)


@pytest.mark.parametrize("path", POSTS[1:])
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"input": NaN}', b"\xff\xfe", b""]
)
def test_odd_json(client, path, body):
    reply = client.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 413, 422)
    error_of(reply, reply.status_code)


def test_more_images_than_a_request_may_have(client, shop):
    photo = shop.photos / "0.png"
    files = [("f", ("a.png", photo.read_bytes()))] * 5
    error_of(client.post("/embed", files=files), 413)
    error_of(client.post("/v1/embeddings", json={"input": [base64_of(photo)] * 5}), 413)
    error_of(client.post("/search", json={"queries": [{"image": base64_of(photo)}] * 5}), 413)


def test_a_vector_of_zeros_and_one_that_is_huge(client):
    for vector in ([0] * 8, [3e38] * 8, [-1e-45] * 8):
        reply = client.post("/search", json={"queries": [{"vector": vector}], "k": 1})
        assert reply.status_code in (200, 422)
        json.loads(reply.content, parse_constant=pytest.fail)


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/embed/x", "/images", "/%2e%2e/%2e%2e/etc/passwd"])
def test_unknown_paths(client, path):
    error_of(client.get(path), 404)


@pytest.mark.parametrize("path", POSTS)
def test_other_methods(client, path):
    error_of(client.get(path), 405)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES, JSON)
def test_fuzz(client, body, value):
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 16, 16, 3], "data": value}
    bodies = (
        body,
        json.dumps({"queries": [value], "where": value}).encode(),
        json.dumps({"inputs": [tensor]}).encode(),
    )
    for path in POSTS:
        for content in bodies:
            reply = client.post(path, content=content, headers={"content-type": "application/json"})
            assert reply.status_code in (200, 400, 404, 413, 415, 422), (path, content, reply.text)


def test_the_service_goes_on(client, shop):
    assert client.post("/embed", content=(shop.photos / "0.png").read_bytes(), headers=PNG).status_code == 200
    assert io.BytesIO(client.get("/images/photos/0.png").content).read(2) == b"\xff\xd8"
