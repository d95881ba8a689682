import io
import shutil

import numpy as np
import pytest
from PIL import Image

from serve_cli.http.allowed_hosts import AllowedHosts
from serve_cli.http.remote_images import RemoteImages
from serve_cli.retrieval.index.build import build_index
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli import web_server
from tests.serve_cli.embedded import write_folder
from tests.serve_cli.http.served import error_of, serving
from tests.serve_cli.retrieval.search.shop import made_shop
from tests.serve_cli.tiny_model import CARD


def test_a_thumbnail(client, shop):
    reply = client.get("/images/photos/2.png?size=64")
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers["cache-control"] == "private, max-age=3600"
    picture, original = Image.open(io.BytesIO(reply.content)), Image.open(shop.photos / "2.png").convert("RGB")
    assert max(picture.size) == 64
    difference = np.asarray(picture, float) - np.asarray(original.resize(picture.size), float)
    assert np.abs(difference).mean() < 30
    assert client.get("/images/photos%2F2.png?size=64").content == reply.content


def test_the_largest_size(client):
    assert max(Image.open(io.BytesIO(client.get("/images/photos/2.png?size=512").content)).size) == 512
    assert max(Image.open(io.BytesIO(client.get("/images/photos/2.png").content)).size) == 256


def test_pictures_that_the_index_names_by_url(tmp_path, shop):
    """They are fetched from allowed hosts alone, once for each size."""
    with web_server.serving(shop.photos) as web:
        rows = [ImageRow(str(number), f"{web.url}/{number}.png", "x") for number in (0, 1, 99)]
        embedding = np.arange(3 * CARD.dim, dtype=np.float32).reshape(3, CARD.dim)
        write_folder(tmp_path / "emb", [EmbeddedRows(rows, embedding, [None] * 3)], source=web.url)
        build_index(tmp_path / "emb", tmp_path / "index")
        hosts = AllowedHosts((f"127.0.0.1:{web.server_address[1]}",))
        fetched = RemoteImages(hosts, 1 << 20, is_allowed="127.0.0.1".__eq__)
        with serving(tmp_path / "index", fetched, model=shop.model) as client:
            for _ in range(2):
                assert Image.open(io.BytesIO(client.get("/images/1?size=32").content)).size == (32, 24)
            assert [path for path, _ in web.asked] == ["/1.png"]
            assert "'99' cannot be shown" in error_of(client.get("/images/99"), 404)
        with serving(tmp_path / "index", model=shop.model) as client:
            assert "'1' cannot be shown" in error_of(client.get("/images/1"), 404)


def test_an_index_whose_embeddings_and_pictures_are_gone(tmp_path):
    shop = made_shop(tmp_path)
    with serving(shop.index) as client:
        assert client.get("/images/photos/1.png?size=64").status_code == 200
        for folder in (shop.emb, shop.photos):
            shutil.rmtree(folder)
        reply = client.post("/search", json={"queries": [{"id": "photos/1.png"}], "k": 3})
        assert len(reply.json()["matches"]) == 3
        assert client.get("/images/photos/1.png?size=64").status_code == 200  # from memory
        assert "cannot be shown" in error_of(client.get("/images/photos/2.png"), 404)
    with serving(shop.index) as client:
        assert "cannot be shown" in error_of(client.get("/images/photos/1.png?size=64"), 404)


@pytest.mark.parametrize("size", ["0", "15", "513", "-1", "1e2", "", "64px", "٦٤", "9" * 5000, "²"])
def test_other_sizes(client, size):
    assert "expected 16 to 512" in error_of(client.get("/images/photos/2.png", params={"size": size}), 422)


@pytest.mark.parametrize(
    "name",
    ["missing.png", "", "..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "a%00b", "%FF%FE", "photos%5C2.png", "x" * 5000],
)
def test_ids_that_do_not_exist(client, name):
    assert "no row with the id" in error_of(client.get(f"/images/{name}"), 404)
