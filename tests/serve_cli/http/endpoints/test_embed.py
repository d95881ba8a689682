import numpy as np
import pytest

from tests.serve_cli.http.served import error_of

PNG = {"content-type": "image/png"}
BYTES = {"accept": "application/octet-stream"}


@pytest.fixture
def photos(shop):
    return [(shop.photos / f"{number}.png").read_bytes() for number in range(3)]


def test_an_image_as_json(client, embedder, photos):
    reply = client.post("/embed", content=photos[0], headers=PNG).json()
    assert (reply["dim"], reply["errors"]) == (8, [None])
    np.testing.assert_array_equal(np.float32(reply["embeddings"]), embedder.embed_files(photos[:1]))


def test_a_form_as_float32(client, embedder, photos):
    files = [("f", (f"{number}.png", photo)) for number, photo in enumerate(photos)]
    reply = client.post("/embed", files=files, headers=BYTES)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["x-shape"] == "3,8"
    embedding = np.frombuffer(reply.content, "<f4").reshape(3, 8)
    np.testing.assert_allclose(embedding, embedder.embed_files(photos), rtol=1e-5)


def test_one_bad_image_among_others(client, photos):
    files = [("f", ("a", photos[0])), ("f", ("b", b"no image")), ("f", ("c", photos[1]))]
    reply = client.post("/embed", files=files)
    assert reply.status_code == 200
    content = reply.json()
    assert [row is None for row in content["embeddings"]] == [False, True, False]
    assert [error is None for error in content["errors"]] == [True, False, True]
    assert "not an image of a known format" in content["errors"][1]
    as_bytes = client.post("/embed", files=files, headers=BYTES)
    assert as_bytes.status_code == 422
    assert as_bytes.json() == content


def test_a_single_bad_image(client):
    assert "the body: cannot be read" in error_of(client.post("/embed", content=b"no", headers=PNG), 422)
