"""The OpenAPI 3.1 document of the service: every route, every body, every error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gluon_lifted import __version__
from serve_cli.http.openapi_schemas import PIXEL_BASE64, SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]
DESCRIPTIONS = {
    200: "Success.",
    400: "The request is malformed.",
    401: "The bearer token is missing or wrong.",
    403: "This server does not allow the request.",
    404: "This server has no such model, row, picture or index.",
    409: "Not reloaded; the old model and index stay.",
    408: "The body arrived too slowly.",
    413: "The request has more bytes, images, queries or values than allowed.",
    415: "The body has another content type than expected.",
    422: "An image, condition, vector or number of the request is invalid.",
    429: "The server is busy; `Retry-After` says when to try again.",
    503: "The model is being opened, or the server is shutting down.",
    504: "The answer was not ready in time.",
}
READS = (401, 503)
WORKS = (*READS, 400, 408, 413, 415, 422, 429, 504)
INDEXED = (404, *WORKS)


def document() -> Json:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lifted serve",
            "version": __version__,
            "description": 'Embed images, and search an index of embeddings. Errors are `{"error": {...}}`, and below '
            '`/v2` `{"error": "message"}`, as in KServe.',
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": {**_embedding_paths(), **_search_paths(), **_kserve_paths(), **_server_paths()},
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Required if --token-file is set."}
            },
            "schemas": SCHEMAS,
        },
    }


def _embedding_paths() -> Json:
    image = {"schema": {"contentMediaType": "image/*"}}
    embed = _operation("embed", "Embed image files.", "EmbedReply", WORKS)
    embed["requestBody"] = _body(
        {"image/*": image, "application/octet-stream": image, "multipart/form-data": _ref("Files")}
    )
    embed["responses"]["200"] |= {
        "content": {
            "application/json": _ref("EmbedReply"),
            "application/octet-stream": {
                "schema": {"description": "Embeddings: float32, little-endian, (N, D) in C order."}
            },
        },
        "headers": {"X-Shape": {"description": "Shape of a binary reply: N,D.", "schema": {"type": "string"}}},
    }
    openai = _operation("createEmbedding", "Embed images, in OpenAI's format.", "EmbeddingReply", (*WORKS, 403, 404))
    example = {"input": f"data:image/png;base64,{PIXEL_BASE64}", "encoding_format": "float"}
    openai["requestBody"] = _body({"application/json": _ref("EmbeddingRequest", example)})
    models = _operation("listModels", "List the model, in OpenAI's format.", "ModelList", READS)
    model = _operation("retrieveModel", "Describe the model, in OpenAI's format.", "Model", (*READS, 404))
    return {
        "/embed": {"post": embed},
        "/v1/embeddings": {"post": openai},
        "/v1/models": {"get": models},
        "/v1/models/{name}": {"get": model, "parameters": [_in_path("name", "Name of the model.")]},
    }


def _search_paths() -> Json:
    search = _operation("search", "Search the index with images, ids and vectors.", "SearchReply", (*INDEXED, 403))
    image = {"schema": {"contentMediaType": "image/*"}}
    example = {"queries": [{"image": PIXEL_BASE64}], "k": 3, "columns": []}
    search["requestBody"] = _body(
        {
            "application/json": _ref("SearchRequest", example),
            "image/*": image,
            "application/octet-stream": image,
            "multipart/form-data": _ref("SearchForm"),
        }
    )
    options = SCHEMAS["SearchRequest"]["properties"]
    search["parameters"] = [
        {
            "name": name,
            "in": "query",
            "description": "As in `SearchRequest`, for a body that is an image.",
            "schema": options[name],
        }
        for name in ("k", "where", "max_distance", "unique")
    ]
    columns = {"type": "string", "description": "Names of columns, separated by commas."}
    search["parameters"].append({"name": "columns", "in": "query", "schema": columns})
    images = _operation("image", "Return the picture of a row.", None, (*READS, 404, 422, 429, 504))
    images["responses"]["200"]["content"] = {"image/jpeg": {"schema": {"contentMediaType": "image/jpeg"}}}
    images["parameters"] = [
        _in_path("id", "Id of the row, percent-encoded; it may contain slashes."),
        {
            "name": "size",
            "in": "query",
            "description": "Longer side, in pixels.",
            "schema": {"type": "integer", "minimum": 16, "maximum": 512, "default": 256},
        },
    ]
    return {"/search": {"post": search}, "/images/{id}": {"get": images}}


def _kserve_paths() -> Json:
    name = [_in_path("name", "Name of the model.")]
    infer = _operation("infer", "Embed cropped images.", "InferReply", (404, *WORKS), kserve=True)
    infer["requestBody"] = _body(
        {
            "application/json": _ref("InferRequest"),
            "application/octet-stream": {"schema": {"description": "JSON, followed by the bytes of the tensor."}},
        }
    )
    length = {"type": "integer", "minimum": 0}
    infer["parameters"] = [
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "description": "Length of the JSON, if the bytes of a tensor follow it.",
            "schema": length,
        }
    ]
    infer["responses"]["200"]["content"]["application/octet-stream"] = {"schema": {"description": "As in the request."}}
    gets = {
        "/v2": ("serverMetadata", "Describe the server.", "ServerMetadata", (401,)),
        "/v2/health/live": ("serverLive", "Answer as long as the process runs.", "Live", ()),
        "/v2/health/ready": ("serverReady", "Answer whether requests are welcome.", "Ready", ()),
        "/v2/models/{name}": ("modelMetadata", "Describe the model's tensors.", "ModelMetadata", (*READS, 404)),
        "/v2/models/{name}/ready": ("modelReady", "Answer whether the model is ready.", "Ready", (*READS, 404)),
    }
    paths: Json = {
        path: {"get": _operation(key, summary, schema, errors, kserve=True)}
        for path, (key, summary, schema, errors) in gets.items()
    }
    for path in ("/v2/health/ready", "/v2/models/{name}/ready"):
        paths[path]["get"]["responses"]["503"] = {"description": DESCRIPTIONS[503], "content": _json("Ready")}
    paths["/v2/models/{name}/infer"] = {"post": infer}
    for path in ("/v2/health/live", "/v2/health/ready"):
        paths[path]["get"] = _open(paths[path]["get"])
    for path, item in paths.items():
        if "{name}" in path:
            item["parameters"] = name
    return paths


def _server_paths() -> Json:
    reload = _operation(
        "reload", "Open the model and the index again, and switch to them.", "Reloaded", (401, 403, 409)
    )
    page = _open(_operation("page", "Show the search page.", None, ()))
    page["responses"]["200"]["content"] = {"text/html": {"schema": {"type": "string"}}}
    metrics = _operation("metrics", "Return counters for Prometheus.", None, (401,))
    metrics["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "/": {"get": page},
        "/info": {"get": _operation("info", "Describe the model, the index and the limits.", "Info", READS)},
        "/live": {"get": _open(_operation("live", "Answer as long as the process runs.", None, ()))},
        "/ready": {"get": _open(_operation("ready", "Answer whether requests are welcome.", None, (503,)))},
        "/metrics": {"get": metrics},
        "/openapi.json": {"get": _open(_operation("openapi", "Return this document.", None, ()))},
        "/admin/reload": {"post": reload},
    }


def _operation(key: str, summary: str, schema: str | None, errors: Iterable[int], *, kserve: bool = False) -> Json:
    done: Json = {"description": DESCRIPTIONS[200]}
    if schema is not None:
        done["content"] = _json(schema)
    error = _json("KServeError" if kserve else "Error")
    failed = {str(status): {"description": DESCRIPTIONS[status], "content": error} for status in sorted(set(errors))}
    return {"operationId": key, "summary": summary, "responses": {"200": done, **failed}}


def _open(operation: Json) -> Json:
    """Mark an operation that needs no token."""
    return {**operation, "security": []}


def _ref(schema: str, example: Json | None = None) -> Json:
    return {"schema": {"$ref": f"#/components/schemas/{schema}"}, **({} if example is None else {"example": example})}


def _json(schema: str) -> Json:
    return {"application/json": _ref(schema)}


def _body(content: Json) -> Json:
    return {"required": True, "content": content}


def _in_path(name: str, description: str) -> Json:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}
