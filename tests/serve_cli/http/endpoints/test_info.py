from serve_cli.model.model_hash import model_sha256


def test_what_is_served(client, shop):
    content = client.get("/info").json()
    assert content["model"] == {
        "name": "tiny",
        "sha256": model_sha256(shop.model),
        "dim": 8,
        "distance": "euclidean",
        "crop": 16,
    }
    assert content["limits"] == {"k": 100, "images": 4, "body_bytes": 1 << 20, "max_pixels": 1_000_000}
    index = content["index"]
    columns = {column.pop("name"): column for column in index.pop("columns")}
    assert index == {"rows": 8, "exact": True, "recall": None, "dim": 8, "distance": "euclidean"}
    assert columns == {
        "label": {"type": "string", "values": ["class 0", "class 1"], "min": None, "max": None},
        "price": {"type": "int64", "values": None, "min": 0, "max": 7},
        "brand": {"type": "string", "values": ["a", "b"], "min": None, "max": None},
    }
