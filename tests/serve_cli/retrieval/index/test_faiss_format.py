import struct
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError, RunError
from serve_cli.retrieval.index.faiss_format import check_faiss_file
from serve_cli.retrieval.index.training import new_faiss_index

faiss = pytest.importorskip("faiss")
ROWS, DIM = 200, 8
VECTORS = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
KINDS = (
    *("IVF4,Flat", "IVF4,SQ8", "IVF4,SQfp16", "IVF4,PQ4x4fs", "IVF4,PQ3x4fs_64", "IVF16_HNSW8,SQ8"),
    *("HNSW8", "HNSW8_SQ8", "PCA4,HNSW8_SQ8", "PCAR4,HNSW8", "RR8,HNSW8"),
)


@cache
def encoded(kind, distance="euclidean", rows=ROWS):
    width = 6 if "PQ3" in kind else DIM
    index = new_faiss_index(kind, width, distance)
    index.train(VECTORS[:, :width].copy())
    index.add(VECTORS[:rows, :width].copy())
    return faiss.serialize_index(index).tobytes()


def check(path, content, rows=ROWS):
    path.write_bytes(content)
    check_faiss_file(path, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_what_faiss_writes_is_accepted_and_nothing_shorter_or_longer(tmp_path, kind):
    path = tmp_path / "vectors.faiss"
    for content in (encoded(kind), encoded(kind, "cosine")):
        check(path, content)
        for wrong in (content[:-1], content + b"\0", content[: len(content) // 2], b""):
            with pytest.raises(RunError, match=r"vectors\.faiss: .*; build the index again"):
                check(path, wrong)
        with pytest.raises(RunError, match="holds 200 rows, expected 199"):
            check(path, content, 199)
    check(path, encoded(kind, rows=3), 3)  # most lists are empty
    check(path, encoded(kind, rows=0), 0)


def put(name, offset, layout, value):
    """Change a number that starts some bytes after a name in the file."""

    def change(content):
        struct.pack_into(layout, content, content.index(name) + offset, value)

    return change


HUGE = 1 << 38
HOSTILE = {
    "IVF4,Flat": {
        "lists": put(b"IwFl", 37, "<Q", HUGE),
        "centroids": put(b"IxF2", 37, "<Q", HUGE),
        "lists of lists": put(b"ilar", 4, "<Q", HUGE),
        "bytes of a code": put(b"ilar", 12, "<Q", HUGE),
        "sizes": put(b"full", 4, "<Q", HUGE),
        "rows of a list": put(b"full", 12, "<Q", HUGE),
        "a row more in a list": put(b"full", 12, "<Q", ROWS),
        "lists in another file": put(b"ilar", 0, "4s", b"ilod"),
        "a map of rows": put(b"ilar", -9, "B", 2),
    },
    "IVF4,PQ4x4fs": {
        "rows of a block": put(b"ilbl", 20, "<Q", 1),
        "bytes of a block": put(b"ilbl", 28, "<Q", HUGE),
        "rows of a list": put(b"ilbl", 36, "<Q", HUGE),
        "bits of a code": put(b"ilbl", -4 * DIM * 16 - 16, "<Q", 40),
    },
    "PCA4,HNSW8_SQ8": {
        "transforms": put(b"IxPT", 37, "<i", 1 << 30),
        "mean": put(b"Pcam", 17, "<Q", HUGE),
        "levels": put(b"IHNs", 37, "<Q", HUGE),
        "codes": put(b"IxSQ", 41 + 24, "<Q", HUGE),
    },
}


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind, cases in HOSTILE.items() for case in cases])
def test_sizes_that_do_not_fit_are_refused_before_faiss_takes_memory(tmp_path, kind, case):
    content = bytearray(encoded(kind))
    HOSTILE[kind][case](content)
    with pytest.raises(RunError, match="build the index again"):
        check(tmp_path / "vectors.faiss", content)


@pytest.mark.parametrize("kind", ["IVF4,RaBitQ", "IVF4(SQ8),Flat", "IVF4,Flat,Refine(SQ8)", "HNSW8_PQ4"])
def test_kinds_that_cannot_be_checked_are_not_built(kind):
    with pytest.raises(ConfigError, match="give one that starts with inverted lists"):
        new_faiss_index(kind, DIM, "euclidean")


FUZZ = """
import random, resource, sys
from pathlib import Path
import numpy as np
from gluon_lifted.errors import RunError
from serve_cli.retrieval.index.approximate_search import open_proposals
from serve_cli.retrieval.index.layout import SearchParameters, SegmentRecord
from types import SimpleNamespace

folder, rows, width = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
path, chance = folder / "vectors.faiss", random.Random(4)
content = path.read_bytes()
queries = np.zeros((2, width), np.float32)
stored = np.zeros((rows, width), np.float32)
record = SegmentRecord("s", rows, "e", len(content))
segment = SimpleNamespace(folder=folder, record=record, rows=rows, stored=stored)
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
refused = 0
for number in range(int(sys.argv[4])):
    damaged = bytearray(content)
    at = chance.randrange(len(content) - 8)
    if number % 2:
        at = chance.choice([chance.randrange(300), content.find(b"il") + chance.randrange(80)])
    size = chance.choice([1, 4, 8])
    damaged[at : at + size] = chance.choice([2, 1 << 7, 255, chance.getrandbits(8 * size)]).to_bytes(8, "little")[:size]
    path.unlink()
    path.write_bytes(damaged)
    try:
        proposals = open_proposals(segment, "euclidean")
        effort, count = proposals.effort(SearchParameters(2, 2, 2), 3, None)
        proposals.candidates(proposals.prepare(queries, effort), count, None)
    except RunError:
        refused += 1
print(refused)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "IVF4,PQ4x4"])
def test_a_damaged_file_neither_hangs_nor_crashes(tmp_path, kind):
    (tmp_path / "vectors.faiss").write_bytes(encoded(kind))
    arguments = [str(tmp_path), str(ROWS), str(6 if "PQ3" in kind else DIM), "400"]
    command = [sys.executable, "-c", FUZZ, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert 20 < int(done.stdout) < 400
