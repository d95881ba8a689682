import re

import pytest

from gluon_lifted.errors import ConfigError
from serve_cli.retrieval.index.plan import code_bytes, encodable_rows, plan_index


def test_kinds_by_size():
    kinds = {rows: plan_index(rows, 128, max_memory=10**12).kind for rows in (1, 50_000, 50_001, 10**6, 10**8)}
    assert kinds == {
        1: "exact",
        50_000: "exact",
        50_001: "IVF1024,PQ64x4fs",
        10**6: "IVF4096,PQ64x4fs",
        10**8: "IVF32768,PQ64x4fs",
    }
    assert plan_index(10**6, 127, max_memory=10**12).kind == "IVF4096,SQ8"
    assert plan_index(10, 128, "IVF2,Flat").kind == "IVF2,Flat"


@pytest.mark.parametrize(("kind", "size"), [("IVF4,PQ64x4fs", 32), ("IVF4,SQ8", 128), ("IVF4,Flat", 512)])
def test_code_sizes_are_those_of_faiss(kind, size):
    faiss = pytest.importorskip("faiss")
    assert faiss.index_factory(128, kind).code_size == size <= code_bytes(kind, 128) <= size + 1


def test_segments_keep_within_the_memory():
    whole = plan_index(10**8, 128, max_memory=10**12)
    assert whole.segment_rows == 10**8
    small = plan_index(10**8, 128, max_memory=whole.memory_bytes // 2)
    assert small.segment_rows < 10**8
    assert small.memory_bytes <= whole.memory_bytes // 2
    with pytest.raises(ConfigError, match=r"needs at least [\d,]+ MB of memory, but may use only 100 MB"):
        plan_index(10**8, 128, max_memory=10**8)


def test_description():
    line = plan_index(1000, 128, max_memory=10**12).describe()
    assert re.fullmatch(r"1,000 rows of 128: exact, \d+ MB of memory, 1 MB on disk, about \d s\.", line)


def test_rows_that_the_memory_can_encode_in_an_update():
    code = 64 // 2 + 1 + 8  # of IVF512,PQ64x4fs, with the row's number in its list
    fixed = (150 << 20) + 8 * 101_000 + 4 * 128 * 512
    memory = fixed + 3 * code * 1_000
    for spare, expected in ((0, 1_000), (3 * code, 1_001), (3 * code - 1, 1_000), (300 * code, 1_100)):
        assert encodable_rows(100_000, 1_000, 128, "IVF512,PQ64x4fs", memory + spare) == expected
    with pytest.raises(ConfigError, match=r"adding 1,000 rows needs 158 MB .* --max-memory, or embed and add fewer"):
        encodable_rows(100_000, 1_000, 128, "IVF512,PQ64x4fs", memory - 1)
    assert encodable_rows(100, 50, 128, "exact", (150 << 20) + 8 * 150) == 150
