"""Hostile embedding folders: `python -m tests.serve_cli.embeddings.fuzz_embeddings --minutes 10 [--seed 0]`.

Good folders of every format and type are damaged at random: bytes of their files are changed, cut out, doubled; fields
of the manifest and values in the tables are exchanged for junk. Each must end in embeddings that fit together or in one
of our own errors, within seconds and within bounded memory, now and then in the rows of a report. Anything else is
printed with its seed, and the exit status is 1. A folder that would end the process itself is met in a child of it.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import tempfile
import traceback
import warnings
from contextlib import redirect_stderr
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.errors import LiftedError
from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.embedding_manifest import read_manifest
from serve_cli.embeddings.fixed_lists import without_sizes
from serve_cli.embeddings.part_formats import FORMATS
from serve_cli.embeddings.reader import Embeddings, read_embeddings
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.evaluate.read import read_labeled_folder
from serve_cli.inspection import inspect_path
from serve_cli.report.access import Access
from serve_cli.report.thumbnails import read_thumbnails
from serve_cli.sources.image_row import regroup
from tests.fuzzing import damaged_bytes, fuzz
from tests.serve_cli.embedded import batches
from tests.serve_cli.tiny_model import CARD

KINDS = [(layout, dtype) for layout in FORMATS for dtype in ("float32", "float16", "int8")]
JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**63, 10**30, -(10**30), 1.0, 1e308, float("nan"), float("inf"), ""),
    *(
        "0",
        "float16",
        "int8",
        "npy",
        "parquet",
        "part-00000.parquet",
        "../x",
        "/etc/passwd",
        "\0",
        "\ud800",
        "x" * 5000,
    ),
    *([], [[]], {}, {"a": {}}, [1, 2], ["part-00000.parquet"], [{}]),
]
TEXTS: list[Any] = [None, "", "x" * 70_000, "\0"]
NUMBERS = [0.0, -1.0, float("nan"), float("inf"), 3e38]
LISTS: list[Any] = [None, [], [0.0] * 7, [0.0] * 9, [127] * 8, [None] * 8, *([number] * 8 for number in NUMBERS)]
CELLS = {"embedding": LISTS, "scale": [None, *NUMBERS]}  # by column; texts in the others
TYPES = [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.string(), 1)]
CASES_A_CHILD = 50


@lru_cache
def good_files(layout: str, dtype: str) -> dict[str, bytes]:
    """The files of a folder of two parts with failures, by name."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "emb"
        plan = Plan(
            "/photos",
            10,
            "ids",
            "paths",
            "carried",
            "files",
            "model",
            "CPUExecutionProvider",
            2,
            6,
            format=layout,
            dtype=dtype,
        )
        written = EmbeddingFolder(folder, plan, CARD)
        for number, part in enumerate(regroup(batches(10, bad={1, 7}), 6)):
            written.write(number, [part], group_rows=4)
        written.complete({})
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def damaged_manifest(content: bytes, rng: random.Random) -> bytes:
    """Values at random places exchanged for junk, removed, or doubled."""
    manifest = json.loads(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        found: Any = manifest
        while True:
            keys = list(found) if isinstance(found, dict) else list(range(len(found)))
            key = rng.choice(keys)
            if not isinstance(found[key], dict | list) or not found[key] or rng.random() < 0.3:
                break
            found = found[key]
        kind = rng.randrange(4)
        if kind == 0:
            del found[key]
        elif kind == 1 and isinstance(found, list):
            found.append(deepcopy(found[key]))
        else:
            found[key] = deepcopy(rng.choice(JUNK))  # it may be edited next
        if not manifest:
            break
    return json.dumps(manifest).encode()


def damaged_table(content: bytes, rng: random.Random) -> bytes:
    """The same columns with other cells, or columns of other types, names or numbers; written in another way."""
    buffer = pa.BufferReader(content)
    schema = pq.read_schema(buffer)
    rows = pq.ParquetFile(buffer, metadata=without_sizes(pq.read_metadata(buffer))).read().to_pylist()
    index = rng.randrange(len(schema))
    name, kind = schema.names[index], rng.choice([0, 0, 0, 1, 2, 3, 4])
    if kind == 0 and rows:
        rng.choice(rows)[name] = rng.choice(CELLS.get(name, TEXTS))
    elif kind == 1:
        rows = [{**row, name: str(row[name])} for row in rows]
        schema = schema.set(index, pa.field(name, rng.choice(TYPES)))
    elif kind == 2:
        schema = schema.remove(index)
    elif kind == 3:
        rows = (rows * 50)[rng.randrange(3) : rng.randrange(20)]
    else:
        schema = schema.set(index, schema.field(index).with_name(rng.choice(["id", "x", "", "error"])))
        rows = [{**row, schema.names[index]: row[name]} for row in rows]
    options: dict[str, Any] = {
        "row_group_size": rng.choice([1, 3, 100]),
        "compression": rng.choice(["none", "zstd", "snappy"]),
        "use_dictionary": rng.random() < 0.5,
        "write_page_checksum": rng.random() < 0.5,
    }
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(pa.Table.from_pylist(rows, schema), sink, **options)
    except (pa.ArrowException, TypeError, ValueError):  # a cell that such a column cannot have
        return content
    return bytes(sink.getvalue())


def damaged_files(rng: random.Random) -> dict[str, bytes]:
    files = dict(good_files(*rng.choice(KINDS)))
    name = rng.choice(sorted(files))
    kind = rng.choice([0, 1, 1, 2, 3, 4, 5])
    if kind == 0:
        name = "manifest.json"
        files[name] = damaged_manifest(files[name], rng)
    elif kind == 1:
        name = rng.choice([name for name in sorted(files) if name.endswith(".parquet")])
        files[name] = damaged_table(files[name], rng)
    elif kind == 2:
        files[name] = files[rng.choice(sorted(files))]
    elif kind == 3:
        other = good_files(*rng.choice(KINDS))
        files |= {rng.choice(sorted(other)): other[rng.choice(sorted(other))]}
    else:
        files[name] = damaged_bytes(files[name], rng)
    if rng.random() < 0.05:
        del files[name]
    return files


def check(found: Embeddings) -> None:
    rows = len(found.embedding)
    assert found.embedding.shape == (rows, found.card.dim)
    assert found.embedding.dtype == np.float32
    columns = (found.ids, found.paths, found.label_names, found.errors)
    assert (found.labels.dtype, found.labels.shape) == (np.int64, (rows,))
    assert all(type(column) is tuple and len(column) == rows for column in columns)
    assert all(type(text) is str for text in (*found.ids, *found.paths))
    assert all(text is None or type(text) is str for text in (*found.label_names, *found.errors))
    good = np.array([error is None for error in found.errors], bool)
    assert np.isfinite(found.embedding[good]).all()
    assert np.isnan(found.embedding[~good]).all()


def attempt(rng: random.Random) -> str:
    """One damaged folder; what became of it, in a word."""
    with tempfile.TemporaryDirectory() as place:
        for name, content in damaged_files(rng).items():
            path = Path(place, name)
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(content)
        layout, dtype = rng.choice(KINDS)
        open_writer, _ = FORMATS[layout].load()
        for number in range(2):
            open_writer(Path(place), CARD, dtype, None).finished(number)  # as a run that is resumed does
        try:
            check(read_embeddings(place))
            inspect_path(Path(place)).facts()
            if rng.random() < 0.1:
                with redirect_stderr(io.StringIO()):
                    embeddings = read_labeled_folder(Path(place))
                access = Access(read_manifest(Path(place)).get("source"))
                assert not read_thumbnails(embeddings.paths, range(len(embeddings)), access).pictures
        except LiftedError as error:
            str(error).encode("utf-8", "backslashreplace")
            return "refused"
    return "read"


class Children:
    """Runs attempts in children of this process, so that a seed that ends one is found, too.

    One child takes many seeds, which it is given one by one: starting it takes longer than an attempt.
    """

    def __init__(self) -> None:
        self._child = self._left = 0
        self._to = self._back = -1

    def __call__(self, rng: random.Random) -> str:
        if self._left == 0:
            self._start()
        self._left -= 1
        seed = rng.getrandbits(64)
        os.write(self._to, seed.to_bytes(8, "little"))
        answer = os.read(self._back, 1 << 16).decode()
        if self._left == 0 or not answer:
            status = self._stop()
            if not answer:
                raise RuntimeError(f"the process ended with status {status} (attempt(random.Random({seed})))")
        if answer not in ("read", "refused"):
            raise RuntimeError(f"attempt(random.Random({seed})):\n{answer}")
        return answer

    def _start(self) -> None:
        asked, self._to = os.pipe()
        self._back, said = os.pipe()
        self._child, self._left = os.fork(), CASES_A_CHILD
        if self._child == 0:
            os.close(self._to)
            os.close(self._back)
            _answer(asked, said)
        os.close(asked)
        os.close(said)

    def _stop(self) -> int:
        os.close(self._to)
        os.close(self._back)
        self._left = 0
        return os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])


def _answer(asked: int, said: int) -> None:
    """A child's life: a seed in, an outcome out."""
    while seed := os.read(asked, 8):
        try:
            answer = attempt(random.Random(int.from_bytes(seed, "little")))
        except BaseException:  # that of a child is told to its parent
            answer = traceback.format_exc()[-10_000:]
        os.write(said, answer.encode())
    os._exit(0)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    for one in KINDS:
        good_files(*one)
    sys.exit(fuzz(__doc__.splitlines()[0], Children()))
