"""Compressed Arrow files are recognized by their messages."""

import random
from contextlib import suppress

import pyarrow as pa
import pytest

from serve_cli.retrieval.index import arrow_blocks
from serve_cli.retrieval.index.arrow_blocks import is_compressed

TABLE = pa.table({"id": [f"{i}.jpg" * 50 for i in range(60)], "n": range(60)})
WITH_DICTIONARY = pa.table({"n": [1, 2], "brand": pa.array(["x" * 5000, "y"]).dictionary_encode()})


def written(table, compression, rows=25):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as file:
        file.write_table(table, rows)
    return memoryview(sink.getvalue())


@pytest.mark.parametrize("table", [TABLE, WITH_DICTIONARY, TABLE.slice(0, 0)], ids=["batches", "dictionary", "empty"])
def test_compressed_files_are_recognized(table):
    assert not is_compressed(written(table, None))
    for compression in ("lz4", "zstd"):
        assert is_compressed(written(table, compression)) == (len(table) > 0)


def test_a_compressed_dictionary_is_recognized(monkeypatch):
    monkeypatch.setattr(arrow_blocks, "RECORD_BATCHES", 9)  # a footer has no such field
    assert is_compressed(written(WITH_DICTIONARY, "zstd"))
    assert not is_compressed(written(WITH_DICTIONARY, None))
    assert not is_compressed(written(TABLE, "zstd"))  # it has none


def test_damaged_files_are_an_error_or_an_answer():
    chance = random.Random(3)
    content = bytes(written(TABLE, None))
    for cut in (0, 3, 9):
        with pytest.raises(ValueError, match="footer"):
            is_compressed(memoryview(content[:cut]))
    for _ in range(2000):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[chance.choice([chance.randrange(len(content)), -1 - chance.randrange(400)])] = chance.randrange(256)
        with suppress(ValueError):
            assert is_compressed(memoryview(damaged)) in (True, False)
