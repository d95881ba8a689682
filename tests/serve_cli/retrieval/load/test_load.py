"""The order of things in a load, against a database of plain dictionaries."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError, DataError, RunError
from serve_cli.embeddings.part_columns import MANIFEST
from serve_cli.retrieval.load import load as load_module
from serve_cli.retrieval.load.load import load_embeddings
from serve_cli.retrieval.load.load_options import LoadOptions
from serve_cli.retrieval.load.target import Preview
from serve_cli.sources.network.retry import RetryPolicy
from tests.serve_cli.retrieval.index.catalogs import write_embeddings
from tests.serve_cli.retrieval.load.catalogs import drawn

AT_ONCE = RetryPolicy(seconds=1e9, attempts=3, sleep=lambda _: None)


class LostError(Exception):
    """A driver's transient error."""


class RefusedError(Exception):
    """A driver's lasting error."""


class Shelf:
    """A database: what is staged and what readers see, kept beyond one load."""

    database: ClassVar[str] = "Shelf"
    dtypes = ("float32", "float16")
    indexes = ("flat", "none")
    batch_rows = 4
    tables: ClassVar[dict] = {}
    staging: ClassVar[dict] = {}
    calls: ClassVar[list] = []
    failures: ClassVar[list] = []  # raised by the next writes; None for no error
    changed: ClassVar[dict] = {}  # what reading gives instead

    def __init__(self, url, plan):
        self.plan = plan
        self.calls.append("open")

    def preview(self):
        complete = self.tables.get(self.plan.table, {}).get("fingerprint") == self.plan.fingerprint
        return Preview({"id": "text"}, "create", "flat", 100, 2.0, complete)

    def prepare(self):
        if self.staging.get("fingerprint") != self.plan.fingerprint:
            self.discard()
            self.staging.update(fingerprint=self.plan.fingerprint, rows={}, numbers=set())

    def loaded(self, batch, number):
        return number in self.staging["numbers"]

    def write(self, batch, number):
        failure = self.failures.pop(0) if self.failures else None
        if failure:
            raise failure
        for identifier, vector in zip(batch.table["id"].to_pylist(), batch.embedding, strict=True):
            assert identifier not in self.staging["rows"]
            self.staging["rows"][identifier] = vector
        self.staging["numbers"].add(number)
        self.calls.append(f"write {number}")

    def build_index(self):
        self.calls.append("index")

    def count(self):
        return len(self.staging["rows"])

    def read(self, ids):
        rows = {**self.staging["rows"], **self.changed}
        return {identifier: rows[identifier] for identifier in ids if identifier in rows}

    def switch(self):
        self.tables[self.plan.table] = dict(self.staging)
        self.staging.clear()
        self.calls.append("switch")

    def discard(self):
        self.staging.clear()

    def close(self):
        self.calls.append("close")

    def is_transient(self, error):
        return isinstance(error, LostError)

    def explain(self, error):
        return RunError(f"Shelf: {error}") if isinstance(error, (LostError, RefusedError)) else None


@pytest.fixture(autouse=True)
def shelf(monkeypatch):
    for name in ("tables", "staging", "calls", "failures", "changed"):
        monkeypatch.setattr(Shelf, name, type(getattr(Shelf, name))())
    monkeypatch.setattr(load_module, "target_class", lambda url: Shelf)
    return Shelf


def test_rows_columns_and_order(emb):
    vectors = drawn(10)
    report = load_embeddings(LoadOptions(write_embeddings(emb, vectors, failed=(3,)), "shelf://"))
    assert Shelf.calls == ["open", "write 0", "write 1", "write 2", "index", "switch", "close"]
    assert (report.rows, report.failed, report.repeated, report.resumed, report.compared) == (9, 1, 0, 0, 9)
    rows = Shelf.tables["emb"]["rows"]
    assert list(rows) == [f"{i}.jpg" for i in range(10) if i != 3]
    assert all(np.array_equal(rows[f"{i}.jpg"], vectors[i]) for i in range(10) if i != 3)


def test_a_second_load_of_the_same_does_nothing(emb):
    options = LoadOptions(write_embeddings(emb, drawn(5)), "shelf://")
    load_embeddings(options)
    Shelf.calls.clear()
    assert load_embeddings(options).complete
    assert Shelf.calls == ["open", "close"]
    assert not load_embeddings(replace(options, dtype="float16")).complete


def test_dry_run_writes_nothing(emb):
    report = load_embeddings(LoadOptions(write_embeddings(emb, drawn(5)), "shelf://"), dry_run=True)
    assert (report.dry_run, report.rows, report.seconds, report.bytes) == (True, 5, 2.0, 100)
    assert Shelf.calls == ["open", "close"]
    assert "about 2 s" in report.facts()["time"]


def test_an_interrupted_load_is_resumed(emb):
    options = LoadOptions(write_embeddings(emb, drawn(10)), "shelf://")
    Shelf.failures[:] = [None, RefusedError("no")]
    with pytest.raises(RunError, match="Shelf: no"):
        load_embeddings(options, retries=AT_ONCE)
    assert Shelf.calls == ["open", "write 0", "close"]
    assert not Shelf.tables
    report = load_embeddings(options)
    assert (report.resumed, len(Shelf.tables["emb"]["rows"])) == (4, 10)


def test_errors_that_may_pass_are_retried_some_times(emb, caplog):
    options = LoadOptions(write_embeddings(emb, drawn(5)), "shelf://")
    Shelf.failures[:] = [LostError("gone"), LostError("gone")]
    load_embeddings(options, retries=AT_ONCE)
    assert [record.message for record in caplog.records] == ["Shelf: gone Trying again."] * 2
    Shelf.tables.clear()
    Shelf.failures[:] = [LostError("gone")] * 3
    with pytest.raises(RunError, match="gone"):
        load_embeddings(options, retries=AT_ONCE)


def test_a_bug_keeps_its_traceback(emb):
    Shelf.failures[:] = [ZeroDivisionError("bug")]
    with pytest.raises(ZeroDivisionError):
        load_embeddings(LoadOptions(write_embeddings(emb, drawn(5)), "shelf://"), retries=AT_ONCE)
    assert Shelf.calls[-1] == "close"


def test_another_vector_read_back_stops_the_switch(emb):
    vectors = drawn(5)
    Shelf.changed["3.jpg"] = vectors[3] + np.float32(1e-3)
    with pytest.raises(RunError, match=r"does not return the embedding that was sent for the id '3.jpg'"):
        load_embeddings(LoadOptions(write_embeddings(emb, vectors), "shelf://"))
    assert not Shelf.tables
    assert not Shelf.staging  # the next load starts over


def test_a_lost_row_stops_the_switch(emb, monkeypatch):
    monkeypatch.setattr(Shelf, "count", lambda self: 4)
    with pytest.raises(RunError, match="has 4 rows for 'emb', expected 5"):
        load_embeddings(LoadOptions(write_embeddings(emb, drawn(5)), "shelf://"))
    assert not Shelf.tables


def test_repeated_ids(emb, tmp_path):
    vectors = drawn(9)
    vectors[8] = vectors[4] = vectors[1]
    names = ["a", "b", "c", "d", "b", "e", "f", "g", "b"]
    report = load_embeddings(LoadOptions(write_embeddings(emb, vectors, ids=names), "shelf://"))
    assert (report.rows, report.repeated) == (7, 2)
    assert list(Shelf.tables["emb"]["rows"]) == ["a", "b", "c", "d", "e", "f", "g"]
    vectors[8] += 1
    with pytest.raises(DataError, match="the id 'b' occurs twice with different embeddings"):
        load_embeddings(LoadOptions(write_embeddings(tmp_path / "other", vectors, ids=names), "shelf://"))


def test_rows_with_nan_are_left_out_and_counted(emb):
    vectors = drawn(9)
    vectors[[0, 8], [1, 2]] = np.nan, np.inf
    report = load_embeddings(LoadOptions(write_embeddings(emb, vectors, failed=(4,)), "shelf://"))
    assert (report.rows, report.failed, report.not_finite, report.compared) == (6, 1, 2, 6)
    assert list(Shelf.tables["emb"]["rows"]) == [f"{i}.jpg" for i in (1, 2, 3, 5, 6, 7)]
    assert report.facts()["left out"] == "1 without an embedding, 2 whose embedding has NaN or infinity"


def test_numbers_beyond_float16(emb):
    vectors = drawn(5)
    vectors[2, 1] = 70_000
    options = LoadOptions(write_embeddings(emb, vectors), "shelf://", dtype="float16")
    with pytest.raises(
        DataError, match=r"'2.jpg': its embedding exceeds 65504, the largest float16; use --dtype float32"
    ):
        load_embeddings(options)
    assert load_embeddings(replace(options, dtype="float32")).rows == 5


def test_no_rows_at_all(emb):
    report = load_embeddings(LoadOptions(write_embeddings(emb, drawn(2), failed=(0, 1)), "shelf://"))
    assert (report.rows, report.failed) == (0, 2)
    assert Shelf.tables["emb"]["rows"] == {}


def test_choices_that_the_database_lacks(emb):
    options = LoadOptions(write_embeddings(emb, drawn(2)), "shelf://")
    for wrong, message in (
        (replace(options, dtype="int8"), "Shelf has no vectors of type int8; --dtype may be float32 or float16"),
        (replace(options, index="hnsw"), "Shelf has no index 'hnsw'; --index may be flat or none"),
        (replace(options, table=" "), "name is empty"),
        (replace(options, columns=("prize",)), "no column 'prize'; --columns may name id, path, label, price"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_embeddings(wrong)


def test_chosen_columns(emb, monkeypatch):
    schemas = []
    monkeypatch.setattr(Shelf, "build_index", lambda self: schemas.append(self.plan.schema.names))
    folder = write_embeddings(emb, drawn(2))
    for columns in (None, ("price",), (), ("label", "id")):
        load_embeddings(LoadOptions(folder, "shelf://", table=str(columns), columns=columns))
    assert schemas == [["id", "path", "label", "price"], ["id", "price"], ["id"], ["id", "label"]]


def test_what_targets_store_holds_no_credentials(emb, monkeypatch):
    plans = []
    monkeypatch.setattr(Shelf, "build_index", lambda self: plans.append(self.plan))
    manifest = write_embeddings(emb, drawn(2)) / MANIFEST
    fields = json.loads(manifest.read_text())
    fields["source"] = "https://me:s3cret@host/photos?X-Amz-Signature=s3cret"
    manifest.write_text(json.dumps(fields))
    load_embeddings(LoadOptions(emb, "shelf://me:s3cret@host"))
    assert plans[0].source == "https://host/photos"
    assert "s3cret" not in repr(plans[0])


def test_the_url_is_not_shown():
    assert "s3cret" not in repr(LoadOptions("emb", "postgresql://me:s3cret@host/db"))
