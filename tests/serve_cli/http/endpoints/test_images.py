import io

import numpy as np
import pytest
from PIL import Image

from tests.serve_cli.http.served import error_of


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


@pytest.mark.parametrize("size", ["0", "15", "513", "-1", "1e2", "", "64px", "٦٤", "9" * 5000, "²"])
def test_other_sizes(client, size):
    assert "expected 16 to 512" in error_of(client.get("/images/photos/2.png", params={"size": size}), 422)


@pytest.mark.parametrize(
    "name",
    ["missing.png", "", "..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "a%00b", "%FF%FE", "photos%5C2.png", "x" * 5000],
)
def test_ids_that_do_not_exist(client, name):
    assert "no row with the id" in error_of(client.get(f"/images/{name}"), 404)
