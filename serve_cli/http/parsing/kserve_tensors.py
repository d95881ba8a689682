"""Tensors of KServe's Open Inference Protocol (v2), in JSON or as bytes after it.

The bytes are Triton's binary tensor data extension: little endian, in C order, after the JSON. The header
``Inference-Header-Content-Length`` has the length of the JSON.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from gluon_lifted.contract import EMBEDDING_OUTPUT, PIXEL_INPUT
from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.json_body import JsonObject, json_object, parse_json, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

JSON_LENGTH = "Inference-Header-Content-Length"
MAX_NUMBERS, MAX_LISTS = 1 << 22, 1 << 20  # in JSON; more are sent as bytes
PIXELS, FLOATS = "UINT8", "FP32"


@dataclass(frozen=True, eq=False)
class InferRequest:
    """A request of ``infer``.

    Parameters
    ----------
    pixels : ndarray, uint8, (N, crop, crop, 3)
        As `Embedder.embed` takes them, N at least 1.
    id : str or None
        Returned in the reply.
    as_bytes : bool
        Whether embeddings are returned as bytes.
    """

    pixels: NDArray[np.uint8]
    id: str | None
    as_bytes: bool


def parse_infer(body: bytes, json_length: str | None, crop: int, max_images: int) -> InferRequest:
    """Parse a request.

    Parameters
    ----------
    body : bytes
        JSON, followed by tensors.
    json_length : str or None
        Length of the JSON, from its header, or None if there is no header.
    crop : int
        Width and height of the model's pixels.
    max_images : int
        Maximum number of images.

    Raises
    ------
    RequestError
        413 for too many images, 422 for another shape or values that are not pixels, 400 for everything else.
    """
    end = _json_end(json_length, len(body))
    fields = json_object(parse_json(body[:end], MAX_NUMBERS, MAX_LISTS))
    tensor = _only_input(fields)
    shape = _shape(tensor, crop, max_images)
    size = _parameters(tensor).integer("binary_data_size")
    if size is None and end < len(body):
        raise RequestError(
            400, f"{len(body) - end:,} bytes follow the JSON, but inputs[0].parameters has no binary_data_size."
        )
    pixels = _json_pixels(tensor, shape) if size is None else _binary_pixels(body[end:], size, shape)
    return InferRequest(pixels, fields.text("id"), _wants_bytes(fields))


def infer_reply(name: str, request: InferRequest, embedding: NDArray[np.float32]) -> tuple[bytes, int | None]:
    """Return the body of a reply, and the length of its JSON if bytes follow it."""
    output: dict[str, Any] = {"name": EMBEDDING_OUTPUT, "datatype": FLOATS, "shape": list(embedding.shape)}
    reply: dict[str, Any] = {"model_name": name, "outputs": [output]}
    if request.id is not None:
        reply["id"] = request.id
    if not request.as_bytes:
        output["data"] = np.ascontiguousarray(embedding).ravel()
        return orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY), None
    output["parameters"] = {"binary_data_size": embedding.nbytes}
    header = orjson.dumps(reply)
    return header + embedding.astype("<f4", copy=False).tobytes(), len(header)


def _json_end(length: str | None, size: int) -> int:
    if length is None:
        return size
    if not re.fullmatch(r"\d{1,12}", length, re.ASCII) or int(length) > size:
        raise RequestError(
            400, f"{JSON_LENGTH} is {length!r:.50}; expected the length of the JSON, at most {size:,} bytes."
        )
    return int(length)


def _only_input(fields: JsonObject) -> JsonObject:
    inputs = fields.items("inputs")
    if inputs is None or len(inputs) != 1:
        raise RequestError(400, f"inputs has {len(inputs or ()):,} tensors; expected one, named {PIXEL_INPUT!r}.")
    tensor = json_object(inputs[0], where="inputs[0]")
    if tensor.get("name") != PIXEL_INPUT:
        raise tensor.wrong("name", repr(PIXEL_INPUT))
    if tensor.get("datatype") != PIXELS:
        raise tensor.wrong("datatype", f"{PIXELS}: RGB from 0 to 255, which the model normalizes itself")
    return tensor


def _shape(tensor: JsonObject, crop: int, max_images: int) -> tuple[int, ...]:
    shape = tensor.items("shape") or []
    if len(shape) != 4 or not all(type(size) is int for size in shape) or shape[1:] != [crop, crop, 3]:
        listed = ", ".join(map(shown, shape[:6]))
        raise RequestError(422, f"inputs[0].shape is [{listed}]; expected [N, {crop}, {crop}, 3].")
    if not 1 <= shape[0] <= max_images:
        raise RequestError(413, f"inputs[0] has {shape[0]:,} images; expected 1 to {max_images:,}.")
    return tuple(shape)


def _binary_pixels(content: bytes, size: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if not size == len(content) == math.prod(shape):
        raise RequestError(
            422,
            f"binary_data_size is {size:,}, and {len(content):,} bytes follow the JSON; the shape needs "
            f"{math.prod(shape):,}.",
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _json_pixels(tensor: JsonObject, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Convert numbers, flat or nested as the shape."""
    data = tensor.items("data")
    if data is None:
        raise RequestError(400, "inputs[0] has neither data nor parameters.binary_data_size; expected one of them.")
    try:
        numbers = np.array(data)
    except (ValueError, OverflowError):  # ragged, or of more dimensions than arrays have
        numbers = np.empty(0, object)
    if numbers.dtype.kind not in "iu" or numbers.shape not in (shape, (math.prod(shape),)):
        raise RequestError(
            422, f"inputs[0].data is not a list of {math.prod(shape):,} whole numbers, flat or nested as in the shape."
        )
    if numbers.min() < 0 or numbers.max() > 255:
        raise RequestError(
            422, f"inputs[0].data has values from {numbers.min()} to {numbers.max()}; expected 0 to 255."
        )
    return numbers.astype(np.uint8).reshape(shape)


def _wants_bytes(fields: JsonObject) -> bool:
    """Return whether the output is requested as bytes, for itself or for all outputs."""
    as_bytes = _parameters(fields).flag("binary_data_output")
    for number, item in enumerate(fields.items("outputs") or ()):
        output = json_object(item, where=f"outputs[{number}]")
        if output.get("name") != EMBEDDING_OUTPUT:
            raise output.wrong("name", repr(EMBEDDING_OUTPUT))
        parameters = _parameters(output)
        as_bytes = as_bytes if parameters.get("binary_data") is None else parameters.flag("binary_data")
    return as_bytes


def _parameters(fields: JsonObject) -> JsonObject:
    value = fields.get("parameters")
    return json_object({} if value is None else value, where=fields.name("parameters"))
