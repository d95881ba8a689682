"""The plan against sums and rules that are written out."""

import pytest

from gluon_lifted.errors import ConfigError
from serve_cli.retrieval.sizing import rates, sizes
from serve_cli.retrieval.sizing.plan import CLUSTER, MEMORY_SHARE, plan


def index_of(sizing, kind):
    return next(index for index in sizing.indexes if index.kind.startswith(kind))


def database_of(sizing, name):
    return next(way for way in sizing.databases if way.database == name)


def test_embedding_takes_rows_over_rate():
    cpu = plan(3_600_000).embedding[0]
    assert cpu.seconds == pytest.approx(3_600_000 / cpu.images_per_second)


def test_what_is_not_measured_stays_unknown(monkeypatch):
    unknown = rates.EmbeddingRate("GPU", "float16", None, "", "not measured")
    monkeypatch.setattr(rates, "EMBEDDING", (unknown,))
    monkeypatch.setattr(rates, "LOADS", (rates.LoadRate("Qdrant", "upload", {}, "HNSW", {}, "", "not measured"),))
    sizing = plan(1000)
    assert sizing.embedding[0].seconds is None
    assert (sizing.databases[0].load_seconds, sizing.databases[0].index_seconds) == (None, None)


def test_a_measured_build_is_reproduced():
    build = rates.IVF_BUILD
    sizing = plan(build.rows, build.dim)
    assert sizes.lists_of(build.rows) == build.lists
    assert index_of(sizing, "IVF,Flat").build_seconds == pytest.approx(build.seconds)


@pytest.mark.parametrize("dim", [128, 512])
def test_a_measured_load_is_reproduced(dim):
    way = next(rate for rate in rates.LOADS if rate.database == "PostgreSQL")
    load = database_of(plan(10_000_000, dim), "PostgreSQL")
    assert load.load_seconds == pytest.approx(10_000_000 / way.rows_per_second[dim])
    assert load.index_seconds == pytest.approx(10_000_000 / way.indexed_per_second[dim])


def test_other_widths_take_time_in_proportion_to_the_nearest_measured_one(monkeypatch):
    measured = rates.LoadRate("Milvus", "insert", {100: 1000.0, 1000: 50.0}, "HNSW", {}, "x", "y")
    monkeypatch.setattr(rates, "LOADS", (measured,))
    assert plan(1000, 200).databases[0].load_seconds == pytest.approx(2.0)  # 1,000 rows/s at half the width
    assert plan(1000, 500).databases[0].load_seconds == pytest.approx(10.0)  # 50 rows/s at twice the width


@pytest.mark.parametrize("memory", [10**9, 64 * 10**9])
@pytest.mark.parametrize(("dtype", "dim"), [("float32", 128), ("float16", 512)])
def test_the_engine_is_the_first_that_fits(dtype, dim, memory):
    sizing = plan(1, dim, dtype, memory)
    for kind, number_bytes in (("IVF,Flat", 4), ("IVF,SQ8", 1)):
        most = index_of(sizing, kind).most_rows
        assert sizes.ivf_bytes(most, dim, number_bytes) <= memory * MEMORY_SHARE
        assert sizes.ivf_bytes(most + 1, dim, number_bytes) > memory * MEMORY_SHARE
        assert plan(most, dim, dtype, memory).engine.startswith(kind)
        assert not plan(most + 1, dim, dtype, memory).engine.startswith(kind)
    assert plan(most + 1, dim, dtype, memory).engine == CLUSTER
    assert plan(sizes.EXACT_ROWS, dim, dtype, memory).engine == "exact"
    assert plan(sizes.EXACT_ROWS + 1, dim, dtype, memory).engine == "IVF,Flat"


def test_hosts_hold_the_index_in_their_share_of_memory():
    for way in plan(10**9, 512, memory=64 * 10**9).databases:
        if way.memory is not None:
            share = 64 * 10**9 * MEMORY_SHARE
            assert (way.hosts - 1) * share < way.memory <= way.hosts * share


def test_bytes_by_hand():
    sizing = plan(1_000_000, 128, "int8")
    assert sizing.parquet == 1_000_000 * (128 * 1.5 + 4 + 100)
    assert index_of(sizing, "exact").memory == 1_000_000 * 512
    assert index_of(sizing, "IVF,SQ8").memory == 2048 * 512 + 1_000_000 * (128 + 8)
    assert index_of(sizing, "IVF,SQ8").disk == 1_000_000 * (512 + 100) + 2048 * 512 + 1_000_000 * (128 + 8)
    assert database_of(sizing, "Qdrant").memory == 1_000_000 * 128 * 4 * 1.5
    assert database_of(sizing, "Milvus").memory == 1_000_000 * (128 * 4 + 128)
    assert plan(1_000_000, 128, "float16").indexes[0].memory == 1_000_000 * 256


@pytest.mark.parametrize(
    ("rows", "dim", "memory"), [(0, 512, 1), (10**13, 512, 1), (1, 0, 1), (1, 2**17, 1), (1, 8, 0)]
)
def test_numbers_out_of_range_are_refused(rows, dim, memory):
    with pytest.raises(ConfigError, match="expected 1 to"):
        plan(rows, dim, memory=memory)
