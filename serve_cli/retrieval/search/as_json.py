"""Results as objects that JSON can hold."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serve_cli.retrieval.search.matches import Matches


def matches_to_json(matches: Matches) -> dict[str, Any]:
    """Convert the results of a query: its name and error, and rank, distance, id, path, label and columns of rows."""
    return {
        "query": matches.query.name,
        "error": matches.error,
        "matches": [
            {
                "rank": match.rank,
                "distance": match.distance,
                "id": match.id,
                "path": match.path,
                "label": match.label,
                "columns": {name: json_value(value) for name, value in match.columns.items()},
            }
            for match in matches
        ],
    }


def json_value(value: object) -> object:
    """Convert a value: times to ISO text, bytes to base64, numbers that JSON lacks to null, the rest to text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(name): json_value(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat() if callable(isoformat) else value)
