import numpy as np
import pytest

from serve_cli import Index
from tests.serve_cli.http.served import base64_of, error_of, serving


@pytest.fixture(scope="module")
def vectors(shop):
    with Index.open(shop.index) as index:
        return index.catalog.vectors(np.arange(8)).astype(np.float64)


def post(client, *queries, **options):
    reply = client.post("/search", json={"queries": list(queries), **options})
    assert reply.status_code == 200, reply.text
    return reply.json()


def ids(content):
    return [match["id"] for match in content["matches"]]


def nearest(vectors, query, without=()):
    """Ids and distances by plain loops."""
    distances = [sum((a - b) ** 2 for a, b in zip(row, query, strict=True)) ** 0.5 for row in vectors.tolist()]
    order = sorted((distance, number) for number, distance in enumerate(distances) if number not in without)
    return [f"photos/{number}.png" for _, number in order], [distance for distance, _ in order]


def test_an_image(client, shop, vectors):
    photo = (shop.photos / "2.png").read_bytes()
    reply = client.post("/search?k=3&columns=price", content=photo, headers={"content-type": "image/png"}).json()
    expected, distances = nearest(vectors, vectors[2])
    assert ids(reply) == expected[:3]
    np.testing.assert_allclose([match["distance"] for match in reply["matches"]], distances[:3], atol=1e-5)
    first = reply["matches"][0]
    assert (first["rank"], first["label"], first["columns"]) == (1, "class 0", {"price": None})
    assert (reply["exact"], reply["recall"], reply["rows"]) == (True, None, 8)
    assert set(reply["ms"]) == {"decode", "wait", "network", "search"}
    assert all(value > 0 for value in (reply["ms"]["decode"], reply["ms"]["network"], reply["ms"]["search"]))


def test_an_id_is_left_out_of_its_results(client, vectors):
    reply = post(client, {"id": "photos/2.png"}, k=100)
    assert ids(reply) == nearest(vectors, vectors[2], without=[2])[0]
    assert reply["ms"]["network"] == 0


def test_weights(client, shop, vectors):
    """The query by plain arithmetic: positives 3 and 1, negative 2 of mean weight 2 against a mean of 2."""
    queries = [{"id": "photos/2.png", "weight": 3}, {"vector": vectors[3].tolist()}]
    combined = (3 * vectors[2] + vectors[3]) / 4 - (2 / 2) * vectors[5]
    reply = post(client, *queries, {"id": "photos/5.png", "weight": -2}, k=8)
    expected, distances = nearest(vectors, combined, without=[2, 5])
    assert ids(reply) == expected
    np.testing.assert_allclose([match["distance"] for match in reply["matches"]], distances, rtol=1e-5)


def test_weights_of_one_are_those_of_the_library(client, shop):
    photos = [shop.photos / f"{number}.png" for number in (2, 3, 4)]
    queries = [{"image": base64_of(photo), "weight": sign} for photo, sign in zip(photos, (1, 1, -1), strict=True)]
    with Index.open(shop.index) as index:
        (expected,) = index.search(photos[:2], 8, without=photos[2:])
    assert ids(post(client, *queries, k=8)) == expected.ids


def test_a_form_of_files_and_json(client, shop, vectors):
    files = [
        ("a", ("a.png", (shop.photos / "2.png").read_bytes())),
        ("b", ("b.png", (shop.photos / "3.png").read_bytes())),
        ("request", (None, '{"queries": [{"file": 1}, {"file": 0, "weight": -1}], "k": 8}')),
    ]
    reply = client.post("/search", files=files).json()
    assert ids(reply) == nearest(vectors, vectors[3] - vectors[2])[0]


def test_options(client):
    reply = post(client, {"id": "photos/0.png"}, where="brand = 'a' and price > 0", max_distance=1e6, k=5)
    assert sorted(ids(reply)) == ["photos/1.png", "photos/3.png"]
    assert post(client, {"id": "photos/0.png"}, max_distance=0)["matches"][0]["id"] == "photos/6.png"
    assert len(ids(post(client, {"id": "photos/0.png"}, unique=True, k=8))) < 7


def test_paths_are_shown_only_if_asked_for(client, shop):
    hidden = client.post("/search", json={"queries": [{"id": "photos/0.png"}]})
    assert hidden.json()["matches"][0]["columns"].keys() == {"price", "brand"}
    assert str(shop.folder) not in hidden.text
    shown = post(client, {"id": "photos/0.png"}, columns=["path", "label"])
    assert shown["matches"][0]["columns"].keys() == {"path", "label"}


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"queries": [{"id": "missing"}]}, 404, "no row with the id 'missing'"),
        ({"queries": [{"id": "../../etc/passwd\0\n"}]}, 404, "no row with the id '../../etc/passwd\\x00\\n'"),
        ({"queries": [{"id": "photos/0.png"}], "where": "prize = 1"}, 422, "where, character 1"),
        ({"queries": [{"id": "photos/0.png"}], "columns": ["secret"]}, 422, "no column 'secret'"),
        ({"queries": [{"vector": [1, 2]}]}, 422, "2 numbers; expected 8"),
        ({"queries": [{"id": "photos/0.png"}], "k": 10**9}, 422, "k is 1,000,000,000; expected 1 to 100"),
        ({"queries": [{"url": "http://a/b.png"}]}, 403, "images by URL are off"),
        ({"queries": [{"image": "bm8gaW1hZ2U="}]}, 422, "queries[0].image: cannot be read"),
    ],
)
def test_refusals(client, shop, fields, status, message):
    reply = client.post("/search", json=fields)
    assert message in error_of(reply, status)
    assert str(shop.folder) not in reply.text


def test_the_position_in_a_condition(client):
    reply = client.post("/search", json={"queries": [{"id": "photos/0.png"}], "where": "price > "})
    assert reply.json()["error"]["position"] == 8


def test_without_an_index(shop):
    with serving(shop.model) as client:
        for reply in (client.post("/search", json={"queries": []}), client.get("/images/a")):
            assert "no index to search" in error_of(reply, 404)
        assert client.get("/info").json()["index"] is None
