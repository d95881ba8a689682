"""The OpenAPI document: valid, and true of the application."""

import pytest
from jsonschema import Draft202012Validator
from starlette.routing import Route

from serve_cli.http.openapi import document
from serve_cli.http.openapi_schemas import PIXEL_BASE64
from serve_cli.http.routes import routes
from tests.serve_cli.http.served import base64_of

PIXELS = [[[0, 0, 0]] * 16] * 16


@pytest.fixture(scope="module")
def described():
    return document()


def test_it_is_valid(described):
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(described)


def test_it_is_served(client, described):
    assert client.get("/openapi.json").json() == described


def test_each_route_is_documented_and_each_documented_route_exists(described):
    served = {
        (route.path.replace(":path}", "}"), method)
        for route in routes()
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    verbs = ("get", "post")
    documented = {(path, verb.upper()) for path, item in described["paths"].items() for verb in verbs if verb in item}
    assert served == documented


def test_every_schema_is_used(described):
    text = str(described)
    unused = [name for name in described["components"]["schemas"] if f"'#/components/schemas/{name}'" not in text]
    assert unused == []


def conforms(described, path, method, reply):
    """Check a reply against the schema of its status."""
    content = described["paths"][path][method]["responses"][str(reply.status_code)]["content"]
    (schema,) = (content[kind]["schema"] for kind in content if kind == "application/json")
    Draft202012Validator({**schema, "components": described["components"]}).validate(reply.json())


def examples(described):
    for path, item in described["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {}) if isinstance(operation, dict) else {}
            for kind, body in content.items():
                if "example" in body:
                    yield path, method, kind, body


def test_examples_conform_and_work(client, described):
    count = 0
    for path, method, kind, body in examples(described):
        Draft202012Validator({**body["schema"], "components": described["components"]}).validate(body["example"])
        reply = client.request(method.upper(), path, json=body["example"], headers={"content-type": kind})
        assert reply.status_code == 200, reply.text
        conforms(described, path, method, reply)
        count += 1
    assert count >= 2


@pytest.mark.parametrize(
    ("path", "schema_path"),
    [
        ("/info", "/info"),
        ("/v1/models", "/v1/models"),
        ("/v1/models/tiny", "/v1/models/{name}"),
        ("/v1/models/other", "/v1/models/{name}"),
        ("/v2", "/v2"),
        ("/v2/health/live", "/v2/health/live"),
        ("/v2/health/ready", "/v2/health/ready"),
        ("/v2/models/tiny", "/v2/models/{name}"),
        ("/v2/models/other", "/v2/models/{name}"),
        ("/v2/models/tiny/ready", "/v2/models/{name}/ready"),
        ("/images/missing", "/images/{id}"),
    ],
)
def test_replies_conform(client, described, path, schema_path):
    conforms(described, schema_path, "get", client.get(path))


def test_replies_to_bodies_conform(client, shop, described):
    png, photo = {"content-type": "image/png"}, (shop.photos / "0.png").read_bytes()
    conforms(described, "/embed", "post", client.post("/embed", content=photo, headers=png))
    conforms(described, "/embed", "post", client.post("/embed", content=b"x", headers=png))
    for queries in ([{"id": "photos/0.png"}], [{"id": "missing"}], []):
        conforms(described, "/search", "post", client.post("/search", json={"queries": queries}))
    reply = client.post("/search", json={"queries": [{"id": "photos/0.png"}], "where": "a ="})
    conforms(described, "/search", "post", reply)
    for encoding in ("float", "base64", "other"):
        fields = {"input": base64_of(shop.photos / "0.png"), "encoding_format": encoding}
        conforms(described, "/v1/embeddings", "post", client.post("/v1/embeddings", json=fields))
    for data in ([PIXELS], [0]):
        tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 16, 16, 3], "data": data}
        reply = client.post("/v2/models/tiny/infer", json={"inputs": [tensor]})
        conforms(described, "/v2/models/{name}/infer", "post", reply)


def refuses(described, name, body):
    schema = {**described["components"]["schemas"][name], "components": described["components"]}
    return not Draft202012Validator(schema).is_valid(body)


def test_schemas_refuse_what_the_parser_refuses(client, described):
    query = {"image": PIXEL_BASE64}
    for body in (
        {"queries": []},
        {"queries": [{}]},
        {"queries": [{**query, "id": "a"}]},
        {"queries": [query], "limit": 1},
    ):
        assert refuses(described, "SearchRequest", body)
        assert client.post("/search", json=body).status_code in (400, 422)
    for body in ({}, {"input": []}, {"input": [1]}, {"input": PIXEL_BASE64, "encoding_format": "int8"}):
        assert refuses(described, "EmbeddingRequest", body)
        assert client.post("/v1/embeddings", json=body).status_code in (400, 422)
