"""JSON schemas of the bodies in the OpenAPI document."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
# A PNG of one white pixel, for examples
PIXEL_BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"


def _object(required: str = "", *, closed: bool = False, **properties: Json) -> Json:
    schema: Json = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required.split()
    if closed:
        schema["additionalProperties"] = False
    return schema


def _list(items: Json, **limits: int) -> Json:
    return {"type": "array", "items": items, **limits}


def _or_null(kind: str, **more: Any) -> Json:
    return {"type": [kind, "null"], **more}


def _said(description: str, kind: str = "string", **more: Any) -> Json:
    return {"type": kind, "description": description, **more}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
WHOLE: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
VECTOR = _list(NUMBER)
IMAGE = _said("Image as base64, a data URL, or a URL if the server allows its host.")

QUERY = _object(
    closed=True,
    image=IMAGE,
    id=_said("Id of a row to search with. The row itself is left out of the results."),
    vector=_said("Embedding to search with: D numbers.", "array", items=NUMBER),
    url=_said("URL of an image, if the server allows its host."),
    file=_said("Number of a file in the form, from 0.", "integer", minimum=0),
    weight=_said("Weight of the query. Negative: results should not be similar to it.", "number", default=1.0),
) | {"oneOf": [{"required": [name]} for name in ("image", "id", "vector", "url", "file")]}

SEARCH = _object(
    "queries",
    closed=True,
    queries=_list(_ref("Query"), minItems=1),
    k=_or_null("integer", minimum=1, default=10),
    where=_or_null("string", description="Condition on columns, as for `lifted search --where`."),
    max_distance=_or_null("number", minimum=0),
    unique=_or_null("boolean", default=False, description="Return one row of each group of duplicates."),
    columns=_or_null("array", items=TEXT, description="Columns to return; null returns all except `path`."),
)

TENSOR = _object(
    "name datatype shape",
    name={"const": "images"},
    datatype={"const": "UINT8"},
    shape=_said("[N, crop, crop, 3].", "array", items=WHOLE, minItems=4, maxItems=4),
    parameters=_object(binary_data_size={"type": "integer", "minimum": 0}),
    data=_said("Pixels from 0 to 255, flat or nested.", "array"),
)

COLUMN = _object(
    "name type values min max",
    name=TEXT,
    type=TEXT,
    values=_or_null("array", description="All distinct values in the first rows, if there are few."),
    min=_or_null("number"),
    max=_or_null("number"),
)

INDEX = _object(
    "rows exact recall dim distance columns",
    rows=WHOLE,
    exact=FLAG,
    recall=_or_null("number"),
    dim=WHOLE,
    distance=TEXT,
    columns=_list(_ref("Column")),
)

MATCH = _object(
    "rank distance id label columns",
    rank=WHOLE,
    distance=NUMBER,
    id=TEXT,
    label=_or_null("string"),
    columns=_object(),
)

SCHEMAS: dict[str, Json] = {
    "Error": _object(
        "error",
        error=_object(
            "message type status",
            message=TEXT,
            type=TEXT,
            status=WHOLE,
            position=_said("Index of the first wrong character in the condition.", "integer"),
        ),
    ),
    "KServeError": _object("error", error=TEXT),
    "Files": _object() | {"additionalProperties": {"contentMediaType": "image/*"}, "minProperties": 1},
    "EmbedReply": _object(
        "dim embeddings errors",
        dim=WHOLE,
        embeddings=_list({"oneOf": [VECTOR, {"type": "null"}]}),
        errors=_list(_or_null("string")),
    ),
    "EmbeddingRequest": _object(
        "input",
        input={"oneOf": [_ref("Image"), _list(_ref("Image"), minItems=1)]},
        model=_or_null("string", description="Name of the served model."),
        encoding_format={"enum": ["float", "base64", None], "default": "float"},
        dimensions=_or_null("integer", description="Must be D, the width of the embeddings."),
        user=_or_null("string", description="Ignored."),
    ),
    "Image": {"oneOf": [IMAGE, _object("image", image=IMAGE)]},
    "EmbeddingReply": _object(
        "object data model usage",
        object={"const": "list"},
        data=_list(
            _object(
                "object index embedding",
                object={"const": "embedding"},
                index=WHOLE,
                embedding={"oneOf": [VECTOR, _said("Base64 of float32, little-endian.")]},
            )
        ),
        model=TEXT,
        usage=_object("prompt_tokens total_tokens", prompt_tokens=WHOLE, total_tokens=WHOLE),
    ),
    "Model": _object("id object created owned_by", id=TEXT, object={"const": "model"}, created=WHOLE, owned_by=TEXT),
    "ModelList": _object("object data", object={"const": "list"}, data=_list(_ref("Model"))),
    "Query": QUERY,
    "SearchRequest": SEARCH,
    "SearchForm": _object(request=_ref("SearchRequest")) | {"additionalProperties": {"contentMediaType": "image/*"}},
    "Match": MATCH,
    "SearchReply": _object(
        "matches exact recall rows ms",
        matches=_list(_ref("Match")),
        exact=FLAG,
        recall=_or_null("number"),
        rows=WHOLE,
        ms=_object("decode wait network search", decode=NUMBER, wait=NUMBER, network=NUMBER, search=NUMBER),
    ),
    "InferRequest": _object(
        "inputs",
        id=TEXT,
        parameters=_object(binary_data_output=FLAG),
        inputs=_list(TENSOR, minItems=1, maxItems=1),
        outputs=_list(_object("name", name={"const": "embedding"}, parameters=_object(binary_data=FLAG))),
    ),
    "InferReply": _object(
        "model_name outputs",
        model_name=TEXT,
        id=TEXT,
        outputs=_list(
            _object(
                "name datatype shape",
                name={"const": "embedding"},
                datatype={"const": "FP32"},
                shape=_list(WHOLE),
                parameters=_object(binary_data_size=WHOLE),
                data=VECTOR,
            )
        ),
    ),
    "ServerMetadata": _object("name version extensions", name=TEXT, version=TEXT, extensions=_list(TEXT)),
    "Live": _object("live", live=FLAG),
    "Ready": _object("ready", name=TEXT, ready=FLAG),
    "TensorMetadata": _object("name datatype shape", name=TEXT, datatype=TEXT, shape=_list(WHOLE)),
    "ModelMetadata": _object(
        "name platform inputs outputs",
        name=TEXT,
        platform=TEXT,
        inputs=_list(_ref("TensorMetadata")),
        outputs=_list(_ref("TensorMetadata")),
    ),
    "Column": COLUMN,
    "Reloaded": _object("model sha256 rows", model=TEXT, sha256=TEXT, rows=_or_null("integer")),
    "Index": INDEX,
    "Info": _object(
        "model index limits",
        model=_object("name sha256 dim distance crop", name=TEXT, sha256=TEXT, dim=WHOLE, distance=TEXT, crop=WHOLE),
        index={"oneOf": [_ref("Index"), {"type": "null"}]},
        limits=_object("k images body_bytes max_pixels", k=WHOLE, images=WHOLE, body_bytes=WHOLE, max_pixels=WHOLE),
    ),
}
