"""The plan against sums and rules that are written out."""

import pytest

from gluon_lifted.errors import ConfigError
from serve_cli.retrieval.index.plan import EXACT_ROWS, build_products, default_factory
from serve_cli.retrieval.sizing import rates
from serve_cli.retrieval.sizing.plan import CLUSTER, MEMORY_SHARE, plan


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
    build = rates.INDEX_BUILD
    products = build_products(1_000_000, 128, 4096)
    expected = 2 + 1_000_000 * 512 / 200e6 + build.seconds * products / build.products
    assert plan(1_000_000, 128).indexes[1].build_seconds == pytest.approx(expected)


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
@pytest.mark.parametrize("dim", [128, 512])
def test_the_engine_is_the_first_that_fits(dim, memory):
    most = plan(1, dim, memory=memory).indexes[1].most_rows
    fitting, beyond = plan(most, dim, memory=memory), plan(most + 1, dim, memory=memory)
    assert fitting.engine == fitting.indexes[1].kind
    assert fitting.indexes[1].memory <= memory * MEMORY_SHARE
    assert beyond.engine == CLUSTER
    assert beyond.indexes[1].memory > memory * MEMORY_SHARE or beyond.indexes[1].build_memory is None
    assert plan(EXACT_ROWS, dim, memory=memory).engine == "exact"
    assert plan(EXACT_ROWS + 1, dim, memory=memory).engine.startswith("IVF")


def test_the_default_is_that_of_lifted_index():
    assert plan(1_000_000, 128).engine == default_factory(1_000_000, 128)
    assert [index.kind for index in plan(1_000_000, 127).indexes][:2] == ["exact", "IVF4096,SQ8"]


def test_a_host_too_small_to_build_says_so():
    index = plan(10**8, 512, memory=10**9).indexes[1]
    assert (index.build_memory, index.build_seconds) == (None, None)
    assert index.memory == 32768 * 2048 + 10**8 * (128 + 1 + 8)


def test_hosts_hold_the_index_in_their_share_of_memory():
    for way in plan(10**9, 512, memory=64 * 10**9).databases:
        if way.memory is not None:
            share = 64 * 10**9 * MEMORY_SHARE
            assert (way.hosts - 1) * share < way.memory <= way.hosts * share


def test_bytes_by_hand():
    sizing = plan(1_000_000, 128, "int8")
    assert sizing.parquet == 1_000_000 * (128 * 1.5 + 4 + 100)
    exact, codes, bytes_of_numbers, numbers = sizing.indexes
    kept = 1_000_000 * (512 + 100)
    assert (exact.memory, exact.disk) == (1_000_000 * 512, kept)
    assert codes.memory == 4096 * 512 + 1_000_000 * (32 + 1 + 8)
    assert bytes_of_numbers.memory == 4096 * 512 + 1_000_000 * (128 + 8)
    assert numbers.disk == kept + 4096 * 512 + 1_000_000 * (512 + 8)
    assert database_of(sizing, "Qdrant").memory == 1_000_000 * 128 * 4 * 1.5
    assert database_of(sizing, "Milvus").memory == 1_000_000 * (128 * 4 + 128)


@pytest.mark.parametrize(
    ("rows", "dim", "memory"), [(0, 512, 1), (10**13, 512, 1), (1, 0, 1), (1, 2**17, 1), (1, 8, 0)]
)
def test_numbers_out_of_range_are_refused(rows, dim, memory):
    with pytest.raises(ConfigError, match="expected 1 to"):
        plan(rows, dim, memory=memory)
