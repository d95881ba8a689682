"""A catalog whose neighbors are plain: gray pictures, from dark to light."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
from PIL import Image

from tests.serve_cli.http.page.stand_in import StandIn

COUNT, STEP = 40, 6  # pictures, and the difference of their grays
HOSTILE = 20  # row whose names are HTML
HTML = "<img src=x onerror=alert(1)>"


def gray_png(level: int, width: int = 48, height: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def row_id(row: int) -> str:
    return f"gray/<b>{row:02d}</b> ü'%.png" if row == HOSTILE else f"gray/{row:02d}.png"


def nearest_ids(level: float, count: int = 30, leave_out: tuple[int, ...] = ()) -> list[str]:
    rows = [row for row in range(COUNT) if row not in leave_out]
    return [row_id(row) for row in sorted(rows, key=lambda row: abs(STEP * row - level))[:count]]


def distance(level: float, row: int) -> float:
    return 48**0.5 * abs(STEP * row - level) / 64


def gray_catalog() -> StandIn:
    rows = range(COUNT)
    table = pa.table({
        "id": [row_id(row) for row in rows],
        "label": [HTML if row == HOSTILE else f"class {row // 10}" for row in rows],
        "brand": ["odd" if row % 2 else "ev'en" for row in rows],
        "price": [1.5 * row for row in rows],
        "sold": [row < 25 for row in rows],
    })  # fmt: skip
    columns = [
        column("label", "string", values=None),
        column("brand", "string", values=["ev'en", "odd"]),
        column("price", "double", least=0.0, most=1.5 * (COUNT - 1)),
        column("sold", "bool", values=[False, True]),
    ]
    return StandIn(table, [gray_png(STEP * row) for row in rows], columns)


def column(
    name: str, kind: str, values: list[Any] | None = None, least: float | None = None, most: float | None = None
) -> dict[str, Any]:
    return {"name": name, "type": kind, "values": values, "min": least, "max": most}
