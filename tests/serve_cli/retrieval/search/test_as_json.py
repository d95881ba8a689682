"""Values of any Arrow type as JSON."""

import json
from datetime import date, datetime, timezone
from decimal import Decimal

import pyarrow as pa
import pytest

from serve_cli.retrieval.search.as_json import json_value
from serve_cli.retrieval.search.matches import values_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (1.5, 1.5),
        (True, True),
        (None, None),
        (b"\xff\x00", "/wA="),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone.utc), "2026-01-02T03:00:00+00:00"),
        (Decimal("1.50"), "1.50"),
        ({"a": [float("inf"), (b"", {1: "x"})]}, {"a": [None, ["", {"1": "x"}]]}),
    ],
)
def test_values(value, expected):
    assert json_value(value) == expected
    json.dumps(json_value(value), allow_nan=False)


def test_dates_that_python_lacks_become_text():
    column = pa.chunked_array([pa.array([0, 2**31 - 1], pa.date32())])
    first, second = values_of(column)
    assert first == date(1970, 1, 1)
    assert "2147483647" in second
