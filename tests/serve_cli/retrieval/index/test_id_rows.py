import numpy as np
import pyarrow as pa
import pytest

from serve_cli.retrieval.index.id_rows import IdRows


class Catalog:
    """Two segments of ids; row 4 is deleted."""

    ids = ("a", "b", "", "a", "gone", "é/ü.jpg", "twice", "twice")
    total, live = len(ids), np.array([number != 4 for number in range(len(ids))])

    @property
    def segments(self):
        return [self, Later()]

    def batches(self, columns):
        yield 0, pa.record_batch({"id": list(self.ids[:2])})
        yield 2, pa.record_batch({"id": list(self.ids[2:5])})

    def table(self, rows, columns):
        return pa.table({"id": [self.ids[row] for row in rows]})


class Later:
    def batches(self, columns):
        yield 5, pa.record_batch({"id": list(Catalog.ids[5:])})


@pytest.mark.parametrize(
    ("name", "row"), [("a", 3), ("b", 1), ("", 2), ("gone", None), ("é/ü.jpg", 5), ("twice", 7), ("missing", None)]
)
def test_rows_by_id(name, row):
    assert IdRows(Catalog()).find(name) == row


def test_equal_hashes_are_told_apart(monkeypatch):
    monkeypatch.setattr("serve_cli.retrieval.index.id_rows.hash", lambda name: 7, raising=False)
    rows = IdRows(Catalog())
    assert [rows.find(name) for name in ("b", "a", "missing")] == [1, 3, None]
