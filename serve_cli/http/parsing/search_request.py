"""Requests of ``POST /search``: an image, JSON, or a form of images and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.image_text import ImageUrl, image_url, parse_image_text
from serve_cli.http.parsing.json_body import JsonObject, json_object, parse_json, shown, within
from serve_cli.http.parsing.media_types import BYTES, JSON, MULTIPART, parse_media_type, require_plain
from serve_cli.http.parsing.multipart import parse_multipart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from serve_cli.http.parsing.image_text import RequestImage
    from serve_cli.http.parsing.multipart import Part

MAX_WEIGHT = 1000.0  # the smallest is its inverse
MAX_COMPONENT = 1e9  # of a vector; distances stay within float32
MAX_CONDITION, MAX_NAME = 10_000, 4096  # characters of a condition, and of an id or the name of a column
MAX_COLUMNS = 1000
DEFAULT_K = 10
OPTIONS = ("k", "where", "max_distance", "unique", "columns")
SOURCES = ("image", "id", "vector", "url", "file")
REQUEST = "request"  # the part of a form that holds JSON
FLAGS = {"": True, "1": True, "true": True, "0": False, "false": False}


class RowId(NamedTuple):
    """A row of the index."""

    id: str


QuerySource: TypeAlias = "bytes | ImageUrl | RowId | NDArray[np.float32]"


@dataclass(frozen=True, eq=False)
class WeightedQuery:
    """What results should resemble, or with a negative weight should not, and its name in errors."""

    source: QuerySource
    weight: float = 1.0
    name: str = "image"


@dataclass(frozen=True)
class SearchLimits:
    """Maximum numbers of rows in a reply and of queries in a request, and the width of vectors."""

    k: int
    queries: int
    dim: int


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """What to search for. The options are those of `SearchOptions`.

    Parameters
    ----------
    queries : list of WeightedQuery
        At least one with a positive weight.
    columns : tuple of str or None
        None for all columns that do not show the server's paths.
    """

    queries: list[WeightedQuery]
    k: int = DEFAULT_K
    where: str | None = None
    max_distance: float | None = None
    unique: bool = False
    columns: tuple[str, ...] | None = None

    def images(self) -> tuple[list[RequestImage], list[str]]:
        """Return the queries that are images, and their names in errors."""
        images = [(query.source, query.name) for query in self.queries if isinstance(query.source, bytes | ImageUrl)]
        return [image for image, _ in images], [name for _, name in images]


def parse_search(
    body: bytes, content_type: str, parameters: Mapping[str, str], limits: SearchLimits, content_encoding: str = ""
) -> SearchRequest:
    """Parse a request.

    Parameters
    ----------
    body : bytes
        An image, JSON, or a form.
    content_type, content_encoding : str
        Headers; empty if missing.
    parameters : mapping
        The query string: options of a search with an image in the body.
    limits : SearchLimits
        Limits on the request.

    Raises
    ------
    RequestError
        415 for another content type, 413 for too many queries, 422 for values out of range and invalid images,
        400 for everything else.
    """
    require_plain(content_encoding)
    media_type = parse_media_type(content_type)
    if media_type.name == JSON:
        return _from_json(json_object(parse_json(body), ("queries", *OPTIONS)), [], limits)
    if media_type.name == MULTIPART:
        parts = parse_multipart(body, media_type, limits.queries + 1)
        return _from_form(parts, parameters, limits)
    if not media_type.is_image:
        raise RequestError(
            415, f"the content type is {media_type.name!r:.100}; expected image/*, {BYTES}, {JSON} or {MULTIPART}."
        )
    if not body:
        raise RequestError(400, f"the body is empty; expected an image file, or JSON with the content type {JSON}.")
    return _request([WeightedQuery(body)], _options(parameters), limits)


def _from_form(parts: Sequence[Part], parameters: Mapping[str, str], limits: SearchLimits) -> SearchRequest:
    """Parse files, and JSON that names them. Without JSON, each file is a query."""
    described = [part for part in parts if part.name == REQUEST]
    files = [part.content for part in parts if part.name != REQUEST]
    field = next((part.name for part in parts if part.name != REQUEST and not part.is_file), None)
    if field is not None:
        raise RequestError(400, f"the form's field {field!r:.100} is not a file; expected image files and {REQUEST!r}.")
    if len(described) > 1:
        raise RequestError(400, f"the form has {len(described)} parts {REQUEST!r}; expected one.")
    if described:
        return _from_json(json_object(parse_json(described[0].content), ("queries", *OPTIONS)), files, limits)
    queries = [WeightedQuery(content, name=f"file {number}") for number, content in enumerate(files)]
    return _request(queries, _options(parameters), limits)


def _from_json(fields: JsonObject, files: Sequence[bytes], limits: SearchLimits) -> SearchRequest:
    items = fields.items("queries") or []
    if len(items) > limits.queries:
        raise RequestError(413, f"there are {len(items):,} queries; expected at most {limits.queries:,}.")
    queries = []
    for number, item in enumerate(items):
        query = json_object(item, (*SOURCES, "weight"), f"queries[{number}]")
        queries.append(_query(query, files, limits.dim))
    return _request(queries, fields, limits)


def _request(queries: list[WeightedQuery], fields: JsonObject, limits: SearchLimits) -> SearchRequest:
    if not any(query.weight > 0 for query in queries):
        raise RequestError(422, "there is no query with a positive weight; expected at least one.")
    k, max_distance, columns = fields.integer("k"), fields.number("max_distance"), fields.texts("columns")
    k = DEFAULT_K if k is None else k
    within(k, 1, limits.k, "k")
    if max_distance is not None and max_distance < 0:
        raise fields.wrong("max_distance", "0 or more", 422)
    where = fields.text("where") or None
    if where is not None and len(where) > MAX_CONDITION:
        raise RequestError(422, f"where has {len(where):,} characters; expected at most {MAX_CONDITION:,}.")
    if columns is not None and (len(columns) > MAX_COLUMNS or any(len(name) > MAX_NAME for name in columns)):
        raise RequestError(422, f"columns has more than {MAX_COLUMNS:,} names, or one of over {MAX_NAME:,} characters.")
    return SearchRequest(queries, k, where, max_distance, fields.flag("unique"), columns)


def _query(query: JsonObject, files: Sequence[bytes], dim: int) -> WeightedQuery:
    given = [name for name in SOURCES if query.get(name) is not None]
    if len(given) != 1:
        raise RequestError(
            400, f"{query.where} has {' and '.join(given) or 'none'} of {', '.join(SOURCES)}; expected exactly one."
        )
    weight = query.number("weight")
    weight = 1.0 if weight is None else weight
    if not 1 / MAX_WEIGHT <= abs(weight) <= MAX_WEIGHT:
        raise query.wrong("weight", f"{1 / MAX_WEIGHT:g} to {MAX_WEIGHT:,.0f}, or the negative of that", 422)
    return WeightedQuery(_source(query, given[0], files, dim), weight, query.name(given[0]))


def _source(query: JsonObject, kind: str, files: Sequence[bytes], dim: int) -> QuerySource:
    if kind == "vector":
        return _vector(query.items(kind) or [], query.name(kind), dim)
    if kind == "file":
        number = query.integer(kind)
        if number is None or not 0 <= number < len(files):
            raise query.wrong(kind, f"the number of one of the form's {len(files)} files, from 0", 422)
        return files[number]
    text = query.text(kind) or ""
    if kind == "id":
        if len(text) > MAX_NAME:
            raise RequestError(422, f"{query.name(kind)} has {len(text):,} characters; expected at most {MAX_NAME:,}.")
        return RowId(text)
    return image_url(text, query.name(kind)) if kind == "url" else parse_image_text(text, query.name(kind))


def _vector(numbers: list[object], name: str, dim: int) -> NDArray[np.float32]:
    if len(numbers) != dim:
        raise RequestError(422, f"{name} has {len(numbers):,} numbers; expected {dim:,}.")
    wrong = next((value for value in numbers if isinstance(value, bool) or not isinstance(value, int | float)), None)
    if wrong is not None or None in numbers:
        raise RequestError(422, f"{name} contains {shown(wrong)}; expected numbers only.")
    vector = np.array(numbers, np.float64)
    if not (np.abs(vector) <= MAX_COMPONENT).all():
        raise RequestError(422, f"{name} has a number that is not finite or beyond {MAX_COMPONENT:,.0f}.")
    return vector.astype(np.float32)


def _options(parameters: Mapping[str, str]) -> JsonObject:
    """Read the options of a query string. Several columns are separated by commas."""
    unknown = next((name for name in parameters if name not in OPTIONS), None)
    if unknown is not None:
        raise RequestError(400, f"there is no parameter {unknown!r:.100}; expected {', '.join(OPTIONS)}.")
    values: dict[str, object] = dict(parameters)
    for name, kind, expected in (("k", int, "a whole number"), ("max_distance", float, "a number")):
        text = parameters.get(name, "")
        try:
            values[name] = kind(text[:40]) if text else None
        except ValueError:
            raise RequestError(400, f"{name} is {text!r:.100}; expected {expected}.") from None
    if "unique" in parameters:
        flag = FLAGS.get(parameters["unique"].lower())
        if flag is None:
            raise RequestError(400, f"unique is {parameters['unique']!r:.100}; expected true or false.")
        values["unique"] = flag
    if "columns" in parameters:
        values["columns"] = [name for name in parameters["columns"].split(",") if name]
    return JsonObject(values)
