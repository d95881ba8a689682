import doctest

import pytest

from serve_cli.retrieval.sizing import tables
from serve_cli.retrieval.sizing.plan import plan


def test_examples():
    assert doctest.testmod(tables).failed == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59.6, "60 s"), (90, "1.5 min"), (5399, "90 min"), (5400, "1.5 h"), (259_199, "72 h"), (259_200, "3.0 days")],
)
def test_units_change_at_their_least_number(seconds, text):
    assert tables.time_text(seconds) == text


def test_each_row_has_a_cell_for_each_column():
    for table in tables.tables(plan(10**9)):
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_unmeasured_rates_are_named():
    assert ("GPU", "float16", "not measured", "not measured") in tables.embedding_table(plan(10**6)).rows


def test_the_engine_is_advice():
    assert tables.facts(plan(1000))["engine"] == "exact, on one host"
    assert "several hosts" in tables.facts(plan(10**9))["engine"]
