"""A LanceDB table after a load, read with LanceDB's own client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gluon_lifted.errors import ConfigError, RunError
from tests.serve_cli.retrieval.load.targets.loading import (
    InterruptedLoadError,
    batches,
    catalog,
    ids,
    load,
    nearest,
    plan_of,
)

lancedb = pytest.importorskip("lancedb", reason="loading into LanceDB needs lancedb", exc_type=ImportError)

from serve_cli.retrieval.load.targets.lancedb import LanceTarget

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:lancedb")
REPOSITORY = Path(__file__).parents[5]


@pytest.fixture
def url(tmp_path):
    return f"lancedb://{tmp_path / 'db'}"


def opened(url, table="cars"):
    return lancedb.connect(url.partition("://")[2]).open_table(table)


def tables(url):
    return sorted(path.name for path in Path(url.partition("://")[2]).iterdir())


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_ten_thousand_rows_are_found_as_by_exact_search(url, distance, dtype):
    data = catalog(10_000)
    plan = plan_of(*data, distance=distance, dtype=dtype, batch_rows=4_000)
    assert load(LanceTarget, url, plan, data) == [0, 1, 2]
    table, stored = opened(url), data[1].astype(dtype).astype(np.float32)
    assert tables(url) == ["cars.lance"]
    for query in data[1][:5] + 0.1:
        metric = {"euclidean": "l2", "cosine": "cosine"}[distance]
        rows = table.search(query, vector_column_name="embedding").distance_type(metric).limit(10).to_arrow()
        assert rows["id"].to_pylist() == ids(data, nearest(stored, query.astype(dtype), distance))


def test_columns_keep_types_and_values(url):
    data = catalog(30)
    load(LanceTarget, url, plan_of(*data), data)
    rows = opened(url).to_arrow()
    assert rows.schema.field("embedding").type == pa.list_(pa.float32(), 8)
    assert rows.drop_columns(["embedding"]).equals(data[0])
    np.testing.assert_array_equal(rows["embedding"].combine_chunks().flatten().to_numpy(), data[1].ravel())


@pytest.mark.parametrize("kind", ["ivf_sq", "ivf_pq", "ivf_flat", "ivf_hnsw_sq"])
def test_an_index_is_built_and_used(url, kind):
    data = catalog(600)
    load(LanceTarget, url, plan_of(*data, index=kind), data)
    table = opened(url)
    found = {index.columns[0]: index.index_type for index in table.list_indices()}
    names = {"ivf_sq": "IvfSq", "ivf_pq": "IvfPq", "ivf_flat": "IvfFlat", "ivf_hnsw_sq": "IvfHnswSq"}
    assert found == {"id": "BTree", "embedding": names[kind]}
    query = data[1][7] + 0.01
    rows = table.search(query).nprobes(64).refine_factor(10).limit(1).to_arrow()
    assert rows["id"].to_pylist() == ids(data, [7])


def test_an_interrupted_load_resumes_where_it_stopped_and_shows_nothing_before(url):
    data = catalog(450)
    plan = plan_of(*data)
    with pytest.raises(InterruptedLoadError):
        load(LanceTarget, url, plan, data, stop=2)
    assert tables(url) == ["cars.staging.lance"]
    assert load(LanceTarget, url, plan, data) == [2, 3, 4]
    assert sorted(opened(url).to_arrow()["id"].to_pylist()) == sorted(data[0]["id"].to_pylist())
    assert load(LanceTarget, url, plan, data) == []


def test_a_write_that_is_repeated_adds_no_row(url):
    data = catalog(150)
    plan = plan_of(*data)
    target = LanceTarget(url, plan)
    target.preview()
    target.prepare()
    first, second = batches(plan, *data)
    for number, batch in ((0, first), (0, first), (1, second), (1, second)):
        assert target.loaded(batch, number) == (target.count() >= (100, 150)[number])
        target.write(batch, number)
    assert target.count() == 150
    target.close()


def test_another_fingerprint_discards_the_staging(url):
    data, other = catalog(300), catalog(300, seed=1)
    with pytest.raises(InterruptedLoadError):
        load(LanceTarget, url, plan_of(*data), data, stop=2)
    assert load(LanceTarget, url, plan_of(*other), other) == [0, 1, 2]
    read = opened(url).to_arrow().sort_by("stock")["embedding"].combine_chunks().flatten().to_numpy()
    np.testing.assert_array_equal(read, other[1].ravel())


def test_a_table_of_the_same_catalog_is_updated_in_one_commit(url):
    old = catalog(300)
    load(LanceTarget, url, plan_of(*old), old)
    reader = opened(url)
    changed = old[1].copy()
    changed[7] += 1  # row 7 has another embedding, row 8 a price, rows from 250 are gone, and one is new
    price = old[0]["price"].to_pylist()
    price[8] = 1.5
    new_table = pa.table({**{n: old[0][n] for n in old[0].column_names}, "price": pa.array(price)}).slice(0, 250)
    extra = catalog(301)[0].slice(300)
    new = (pa.concat_tables([new_table, extra]), np.concatenate([changed[:250], changed[:1]]))
    before = reader.version
    plan = plan_of(*new)
    load(LanceTarget, url, plan, new)
    assert reader.count_rows() == 300  # a reader keeps its version
    rows = opened(url).to_arrow().sort_by("stock")
    assert rows.drop_columns(["embedding"]).equals(new[0])
    np.testing.assert_array_equal(rows["embedding"].combine_chunks().flatten().to_numpy(), new[1].ravel())
    table = opened(url)
    table.checkout(before + 1)
    assert table.count_rows() == 251
    assert load(LanceTarget, url, plan, new) == []


def test_a_table_with_other_columns_is_replaced_in_one_commit(url):
    old = catalog(300)
    load(LanceTarget, url, plan_of(*old), old)
    new = (old[0].drop_columns(["price"]), old[1])
    before = opened(url).version
    load(LanceTarget, url, plan_of(*new), new)
    table = opened(url)
    assert "price" not in table.schema.names
    table.checkout(before + 1)
    assert table.count_rows() == 300
    assert tables(url) == ["cars.lance"]


@pytest.mark.parametrize("step", ["merge", "create_table"])
def test_a_load_killed_after_its_commit_is_completed(url, step, monkeypatch):
    old = catalog(300)
    load(LanceTarget, url, plan_of(*old, index="ivf_flat"), old)
    new = catalog(300, seed=1)
    if step == "create_table":
        new = (new[0].drop_columns(["price"]), new[1])
    plan = plan_of(*new, index="ivf_flat")

    def dies(*_):
        raise InterruptedLoadError

    monkeypatch.setattr(LanceTarget, "_index", dies)
    with pytest.raises(InterruptedLoadError):
        load(LanceTarget, url, plan, new)
    monkeypatch.undo()
    assert load(LanceTarget, url, plan, new) == []
    table = opened(url)
    assert {index.columns[0] for index in table.list_indices()} == {"id", "embedding"}
    rows = table.to_arrow().sort_by("stock")
    np.testing.assert_array_equal(rows["embedding"].combine_chunks().flatten().to_numpy(), new[1].ravel())
    assert tables(url) == ["cars.lance"]


def test_a_table_of_other_images_is_kept(url):
    data = catalog(20)
    load(LanceTarget, url, plan_of(*data), data)
    for options, reason in (({"source": "/other"}, "other images"), ({"model": "cd" * 32}, "another model")):
        plan = plan_of(*data, **options)
        with pytest.raises(ConfigError, match=f"the table 'cars' exists and holds embeddings of {reason}.*--overwrite"):
            LanceTarget(url, plan).preview()
        load(LanceTarget, url, replace(plan, overwrite=True, table="cars"), data)
        load(LanceTarget, url, plan_of(*data, overwrite=True), data)


def test_a_table_that_another_program_wrote_is_kept(url):
    lancedb.connect(url.partition("://")[2]).create_table("cars", pa.table({"id": ["a"]}))
    data = catalog(20)
    with pytest.raises(ConfigError, match="was not written by `lifted load`"):
        LanceTarget(url, plan_of(*data)).preview()
    load(LanceTarget, url, plan_of(*data, overwrite=True), data)
    assert opened(url).count_rows() == 20


@pytest.mark.parametrize("name", ["a b", "a/b", "", "ä", "cars.staging", "x" * 201])
def test_a_name_that_cannot_be_used_is_refused(url, name):
    data = catalog(2)
    with pytest.raises(ConfigError, match="LanceDB cannot have a table named"):
        LanceTarget(url, plan_of(*data, table=name)).preview()


@pytest.mark.parametrize(
    ("column", "kind"),
    [("a.b", pa.int64()), ("a`b", pa.int64()), ("_rowid", pa.int64()), ("n", pa.month_day_nano_interval())],
)
def test_a_column_that_cannot_be_held_is_named(url, column, kind):
    table = catalog(2)[0].append_column(pa.field(column, kind), pa.nulls(2, kind))
    with pytest.raises(ConfigError, match=f"{column}.*{kind}.*--columns"):
        LanceTarget(url, plan_of(table, catalog(2)[1])).preview()


def test_columns_of_many_types_are_held(url):
    columns = {
        "text view": pa.array(["a", None], pa.string_view()),
        "Tags": pa.array([["x"], None]),
        "size": pa.array([{"w": 1}, None]),
        "cost": pa.array([None, 2], pa.decimal128(10, 2)),
        "maker": pa.array(["x", None]).dictionary_encode(),
    }
    data = catalog(2)
    table = data[0]
    for name, values in columns.items():
        table = table.append_column(name, values)
    load(LanceTarget, url, plan_of(table, data[1]), (table, data[1]))
    read = opened(url).to_arrow()
    for name, values in columns.items():
        assert read[name].to_pylist() == values.to_pylist()


def test_a_dry_run_writes_nothing(url, tmp_path):
    data = catalog(20)
    preview = LanceTarget(url, plan_of(*data, index="ivf_sq")).preview()
    assert (preview.action, preview.columns["embedding"]) == ("create", "fixed_size_list<item: float>[8]")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_and_missing_rights_are_refused(tmp_path, monkeypatch):
    data = catalog(2)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file, expected a folder"):
        LanceTarget(f"lancedb://{tmp_path / 'file'}", plan_of(*data)).preview()
    with pytest.raises(ConfigError, match="without a folder"):
        LanceTarget("lancedb://", plan_of(*data)).preview()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RunError, match="may not write there"):
        LanceTarget(f"lancedb://{tmp_path}", plan_of(*data)).preview()


def test_credentials_in_the_url_are_refused_and_not_shown():
    target = LanceTarget("lancedb://s3://AKIAKEY:s3cretkey@shop/db", plan_of(*catalog(2)))
    with pytest.raises(ConfigError, match=r"s3://shop/db: LanceDB takes no credentials.*AWS_SECRET") as error:
        target.preview()
    assert "s3cretkey" not in str(error.value)


def test_two_loads_of_one_table_at_once_are_refused(url):
    data = catalog(20)
    first = LanceTarget(url, plan_of(*data))
    first.prepare()
    second = LanceTarget(url, plan_of(*data))
    with pytest.raises(RunError, match="another load into 'cars' is running"):
        second.prepare()
    second.close()
    first.close()


def test_errors_are_sentences(tmp_path):
    target = LanceTarget(f"lancedb://{tmp_path}", plan_of(*catalog(2)))
    assert "the disk is full" in str(target.explain(OSError(28, "No space left on device")))
    assert "cannot be written to (a read-only file system)" in str(target.explain(OSError(30, "Read-only file system")))
    lost = RuntimeError("lance error: LanceError(IO): Generic S3 error: connection reset, /build/x.rs:1:2")
    assert target.is_transient(lost)
    assert "cargo" not in str(target.explain(lost))
    assert target.explain(KeyError("x")) is None
    assert not target.is_transient(ValueError("x"))


KILLED = """
import os, signal, sys
from serve_cli.retrieval.load.targets.{module} import {name}
from tests.serve_cli.retrieval.load.targets.loading import catalog, load, plan_of
data = catalog(2_000)
print("ready", flush=True)
load({name}, sys.argv[1], plan_of(*data, batch_rows=50), data)
"""


@pytest.mark.slow
def test_loads_that_are_killed_at_any_time_end_with_every_id_once(url):
    data = catalog(2_000)
    moments = np.random.default_rng(0).uniform(0, 0.6, 4)
    for moment in moments:
        command = [sys.executable, "-c", KILLED.format(module="lancedb", name="LanceTarget"), url]
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
    load(LanceTarget, url, plan_of(*data, batch_rows=50), data)
    assert sorted(opened(url).to_arrow()["id"].to_pylist()) == sorted(data[0]["id"].to_pylist())
    assert tables(url) == ["cars.lance"]
