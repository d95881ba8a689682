import datetime
from types import SimpleNamespace

import pyarrow as pa

from serve_cli.http import facets
from serve_cli.http.facets import describe_columns


def described(monkeypatch=None, **columns):
    table = pa.table(columns)
    segment = SimpleNamespace(batches=lambda names: ((0, batch) for batch in table.select(names).to_batches(3)))
    catalog = SimpleNamespace(schema=table.schema, segments=[segment, segment])
    return {column.pop("name"): tuple(column.values()) for column in describe_columns(catalog)}


def test_columns_of_each_type():
    nan, inf = float("nan"), float("inf")
    assert described(
        id=["a", "b", "c", "d"],
        path=["/a", "/b", "/c", "/d"],
        label=["b", None, "a", "b"],
        flag=[True, None, True, False],
        whole=[5, None, -1, 2],
        real=[0.5, nan, inf, -2.0],
        nothing=pa.array([None] * 4, pa.float32()),
        when=[datetime.date(2020, 1, 1)] * 4,
        long=["x" * 201] * 4,
    ) == {
        "label": ("string", ["a", "b"], None, None),
        "flag": ("bool", [False, True], None, None),
        "whole": ("int64", None, -1, 5),
        "real": ("double", None, -2.0, 0.5),
        "nothing": ("float", None, None, None),
        "when": ("date32[day]", None, None, None),
        "long": ("string", None, None, None),
    }


def test_many_values_are_not_listed():
    assert described(a=[str(number) for number in range(30)])["a"][1] is not None
    assert described(a=[str(number) for number in range(31)])["a"][1] is None


def test_the_first_rows_alone(monkeypatch):
    monkeypatch.setattr(facets, "ROWS", 5)
    assert described(a=[1, 2, 3, 4])["a"] == ("int64", None, 1, 4)
    monkeypatch.setattr(facets, "ROWS", 2)
    assert described(a=[1, 2, 3, 4])["a"] == ("int64", None, 1, 2)
