"""JSON of requests: bounded when it is parsed, and checked field by field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from serve_cli.http.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_VALUES = 1 << 20  # of a body: at most 32 bytes each
MAX_CONTAINERS = 1 << 16  # objects and lists: about 64 bytes each, even if they are empty
NAMES = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}


def parse_json(body: bytes, max_values: int = MAX_VALUES, max_containers: int = MAX_CONTAINERS) -> Any:
    """Parse a body.

    Parameters
    ----------
    body : bytes
        UTF-8.
    max_values, max_containers : int
        Maximum number of commas, and of lists and objects. They are counted first, because parsed JSON takes up to 30
        times the memory of its text. Those inside texts count, too.

    Raises
    ------
    RequestError
        413 for too many values. 400 if it is not JSON, which excludes NaN, infinity, lone surrogates and depths over
        1024.
    """
    commas, containers = body.count(b","), body.count(b"[") + body.count(b"{")
    if commas > max_values or containers > max_containers:
        raise RequestError(
            413,
            f"the JSON has {commas:,} commas and {containers:,} lists and objects; expected at most {max_values:,} and "
            f"{max_containers:,}.",
        )
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is not valid JSON ({error!s:.200}).") from None


def shown(value: object) -> str:
    """Describe a value of JSON in an error: numbers and short texts literally, others by their kind."""
    if isinstance(value, str):
        return f"{value!r:.100}"
    return NAMES.get(type(value), f"{value!s:.40}") if not isinstance(value, bool) else str(value).lower()


@dataclass(frozen=True)
class JsonObject:
    """An object of a request, and its place, such as ``queries[0]``, which is empty for the whole body."""

    values: dict[str, Any]
    where: str = ""

    def name(self, field: str) -> str:
        """Name a field in an error."""
        return f"{self.where}.{field}" if self.where else field

    def get(self, field: str) -> Any:
        """Return any value, or None if it is missing."""
        return self.values.get(field)

    def text(self, field: str) -> str | None:
        """Return a text, or None if it is missing or null."""
        value = self.get(field)
        if value is None or isinstance(value, str):
            return value
        raise self.wrong(field, "a string")

    def flag(self, field: str) -> bool:
        """Return a boolean, or false if it is missing or null."""
        value = self.get(field)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.wrong(field, "true or false")

    def number(self, field: str) -> float | None:
        """Return a finite number, or None if it is missing or null."""
        value = self.get(field)
        if value is None:
            return None
        if not is_number(value) or not math.isfinite(value):
            raise self.wrong(field, "a number")
        return float(value)

    def integer(self, field: str) -> int | None:
        """Return an integer, or None if it is missing or null."""
        value = self.get(field)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self.wrong(field, "a whole number")

    def items(self, field: str) -> list[Any] | None:
        """Return a list, or None if it is missing or null."""
        value = self.get(field)
        if value is None or isinstance(value, list):
            return value
        raise self.wrong(field, "a list")

    def texts(self, field: str) -> tuple[str, ...] | None:
        """Return a list of texts, or None if it is missing or null."""
        items = self.items(field)
        for item in items or ():
            if not isinstance(item, str):
                raise RequestError(400, f"{self.name(field)} contains {shown(item)}; expected strings only.")
        return None if items is None else tuple(items)

    def wrong(self, field: str, expected: str, status: int = 400) -> RequestError:
        """Say that a field has another value than expected."""
        return RequestError(status, f"{self.name(field)} is {shown(self.get(field))}; expected {expected}.")


def json_object(value: object, known: Sequence[str] | None = None, where: str = "") -> JsonObject:
    """Check that a value is an object with only ``known`` fields, or with any fields if ``known`` is None."""
    if not isinstance(value, dict):
        raise RequestError(400, f"{where or 'the body'} is {shown(value)}; expected an object.")
    unknown = [] if known is None else [name for name in value if name not in known]
    if known is not None and unknown:
        raise RequestError(400, f"{where or 'the body'} has a field {unknown[0]!r:.100}; expected {', '.join(known)}.")
    return JsonObject(value, where)


def is_number(value: object) -> bool:
    """Whether a JSON value is a number. true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def within(value: float, low: float, high: float, name: str) -> None:
    """Raise `RequestError` unless a number is within two bounds."""
    if not low <= value <= high:
        raise RequestError(422, f"{name} is {value:,}; expected {low:,} to {high:,}.")
