"""How near to what was sent an embedding must be that a database returns."""

import numpy as np
import pyarrow as pa
import pytest

from gluon_lifted.errors import RunError
from serve_cli.embeddings.stream import EmbeddedBatch
from serve_cli.embeddings.vectors import from_stored, to_stored
from serve_cli.retrieval.load import verify as verify_module
from serve_cli.retrieval.load.target import LoadPlan
from serve_cli.retrieval.load.verify import READ_ROWS, Sample, verify
from tests.serve_cli.retrieval.load.catalogs import drawn


class Kept:
    """A database that returns given vectors."""

    database = "Kept"

    def __init__(self, rows):
        self.rows = rows
        self.most = 0

    def count(self):
        return len(self.rows)

    def read(self, ids):
        self.most = max(self.most, len(ids))
        return {name: self.rows[name] for name in ids if name in self.rows}


def plan(rows, dtype="float32", distance="euclidean", dim=16):
    return LoadPlan(
        table="t",
        schema=None,
        dim=dim,
        distance=distance,
        dtype=dtype,
        index="none",
        rows=rows,
        row_bytes=0.0,
        batch_rows=10,
        fingerprint="0" * 64,
        model="m",
        source="s",
    )


def named(vectors):
    return {str(row): vector for row, vector in enumerate(vectors)}


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e4])
def test_rounding_to_the_storage_type_is_accepted_and_more_is_not(dtype, distance, scale):
    sent = drawn(300, 16) * np.float32(scale)
    stored = from_stored(*to_stored(sent, dtype)).copy()
    kept = Kept(named(stored))
    verify(kept, plan(300, dtype, distance), named(sent))
    assert kept.most == READ_ROWS
    precision = {"float32": 2**-20, "float16": 2**-10, "int8": 1 / 127}[dtype]
    step = 2**-22 if dtype == "float16" else 0  # subnormal numbers
    stored[7, 3] += np.float32(4 * precision * np.abs(sent[7]).max() + step)
    with pytest.raises(RunError, match="does not return the embedding that was sent for the id '7'"):
        verify(kept, plan(300, dtype, distance), named(sent))


def test_cosines_need_no_length():
    sent = drawn(5, 16)
    unit = sent / np.linalg.norm(sent, axis=1, keepdims=True)
    verify(Kept(named(unit)), plan(5, distance="cosine"), named(sent))
    with pytest.raises(RunError, match="another embedding"):
        verify(Kept(named(unit)), plan(5), named(sent))


def test_the_sample_is_drawn_from_all_batches(monkeypatch):
    monkeypatch.setattr(verify_module, "MOST_COMPARED", 8)
    vectors, samples = drawn(40), [Sample(plan(40, dim=4)) for _ in range(2)]
    for sample, size in zip(samples, (7, 40), strict=True):
        for start in range(0, 40, size):
            ids = [str(row) for row in range(40)[start : start + size]]
            sample.add(EmbeddedBatch(pa.table({"id": ids}), vectors[start : start + size]))
    kept = samples[0].embeddings
    assert kept.keys() == samples[1].embeddings.keys()
    assert len(kept) == 8
    assert max(map(int, kept)) >= 20
    assert all(np.array_equal(vector, vectors[int(name)]) for name, vector in kept.items())


def test_missing_rows_and_other_widths():
    sent = named(drawn(5, 16))
    with pytest.raises(RunError, match="has 4 rows"):
        verify(Kept({name: sent[name] for name in "0123"}), plan(5), sent)
    with pytest.raises(RunError, match="does not return the embedding that was sent for the id '4'"):
        verify(Kept({**{name: sent[name] for name in "0123"}, "x": sent["4"]}), plan(5), sent)
    with pytest.raises(RunError, match="does not return the embedding that was sent for the id '2'"):
        verify(Kept({**sent, "2": sent["2"][:1]}), plan(5), sent)
    zero = {"0": np.zeros(16, np.float32)}
    verify(Kept(zero), plan(1, distance="cosine"), zero)
