import base64
from pathlib import Path

import numpy as np
import pytest

from serve_cli.http.allowed_hosts import AllowedHosts
from serve_cli.http.remote_images import RemoteImages
from tests.serve_cli import web_server
from tests.serve_cli.http.served import base64_of, error_of, serving


@pytest.fixture
def photos(shop):
    return [shop.photos / f"{number}.png" for number in range(2)]


@pytest.fixture
def expected(embedder, photos):
    return embedder.embed_files(photos)


def test_numbers(client, photos, expected):
    images = [base64_of(photos[0]), f"data:image/png;base64,{base64_of(photos[1])}"]
    reply = client.post("/v1/embeddings", json={"model": "tiny", "input": images}).json()
    assert (reply["object"], reply["model"]) == ("list", "tiny")
    assert reply["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    assert [(item["object"], item["index"]) for item in reply["data"]] == [("embedding", 0), ("embedding", 1)]
    np.testing.assert_allclose([item["embedding"] for item in reply["data"]], expected, rtol=1e-5)


def test_base64(client, photos, expected):
    fields = {"model": "tiny", "input": base64_of(photos[0]), "encoding_format": "base64"}
    (item,) = client.post("/v1/embeddings", json=fields).json()["data"]
    embedding = np.frombuffer(base64.b64decode(item["embedding"]), "<f4")
    np.testing.assert_array_equal(embedding, expected[0])


def test_a_bad_image_is_named(client, photos):
    fields = {"input": [base64_of(photos[0]), base64.b64encode(b"no image").decode()]}
    assert error_of(client.post("/v1/embeddings", json=fields), 422).startswith("input[1]: cannot be read")


def test_models(client):
    listed = client.get("/v1/models").json()
    assert listed["data"] == [client.get("/v1/models/tiny").json()]
    assert listed["data"][0]["id"] == "tiny"
    assert "no model 'other'" in error_of(client.get("/v1/models/other"), 404)


def test_images_by_url(shop, photos, expected):
    with web_server.serving(Path(shop.photos)) as web:
        hosts = AllowedHosts((f"127.0.0.1:{web.server_address[1]}",))
        fetched = RemoteImages(hosts, 1 << 20, is_allowed="127.0.0.1".__eq__)
        with serving(shop.index, fetched) as client:
            fields = {"input": [base64_of(photos[0]), f"{web.url}/1.png"]}
            reply = client.post("/v1/embeddings", json=fields).json()
            np.testing.assert_allclose([item["embedding"] for item in reply["data"]], expected, rtol=1e-5)
            found = client.post("/search", json={"queries": [{"url": f"{web.url}/3.png"}], "k": 1}).json()
            assert found["matches"][0]["id"] == "photos/3.png"
            fields = {"input": [f"{web.url}/missing.png"]}
            assert "status 404" in error_of(client.post("/v1/embeddings", json=fields), 422)
