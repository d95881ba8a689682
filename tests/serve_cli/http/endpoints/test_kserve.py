import json

import numpy as np
import pytest

from tests.serve_cli.http.served import error_of

INFER = "/v2/models/tiny/infer"
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)


def tensor(pixels, **more):
    return {"name": "images", "datatype": "UINT8", "shape": list(pixels.shape), **more}


def test_metadata_describes_what_infer_takes(client, pixels, embedder):
    metadata = client.get("/v2/models/tiny").json()
    (given,), (returned,) = metadata["inputs"], metadata["outputs"]
    assert given == {"name": "images", "datatype": "UINT8", "shape": [-1, 16, 16, 3]}
    assert returned == {"name": "embedding", "datatype": "FP32", "shape": [-1, 8]}
    assert "binary_tensor_data" in client.get("/v2").json()["extensions"]


def test_json(client, pixels, embedder):
    reply = client.post(INFER, json={"id": "7", "inputs": [tensor(pixels, data=pixels.tolist())]}).json()
    (output,) = reply["outputs"]
    assert (reply["model_name"], reply["id"], output["shape"]) == ("tiny", "7", [2, 8])
    np.testing.assert_array_equal(np.float32(output["data"]).reshape(2, 8), embedder.embed(pixels))


def test_bytes(client, pixels, embedder):
    described = tensor(pixels, parameters={"binary_data_size": pixels.nbytes})
    content = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    reply = client.post(INFER, content=content + pixels.tobytes(), headers={LENGTH: str(len(content))})
    end = int(reply.headers[LENGTH])
    (output,) = json.loads(reply.content[:end])["outputs"]
    assert output["parameters"] == {"binary_data_size": 64}
    embedding = np.frombuffer(reply.content[end:], "<f4").reshape(output["shape"])
    np.testing.assert_array_equal(embedding, embedder.embed(pixels))


def test_health(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/tiny/ready").json() == {"name": "tiny", "ready": True}


def test_errors_are_texts(client, pixels):
    for reply in (client.get("/v2/models/other"), client.post("/v2/models/other/infer"), client.get("/v2/other")):
        assert isinstance(reply.json()["error"], str)
        error_of(reply, 404)
    reply = client.post(INFER, json={"inputs": [tensor(pixels, data=[0.5])]})
    assert reply.json() == {"error": error_of(reply, 422)}
    assert client.get(INFER).status_code == 405
