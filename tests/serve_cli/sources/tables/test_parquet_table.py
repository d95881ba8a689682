"""Images inside parquet are read within the bound on memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.images import Preprocessing
from gluon_lifted.parquet import page_memory as parquet_pages
from gluon_lifted.parquet.page_memory import CODECS, column_memory, read_chunks
from serve_cli.embed.decoding import Decoding, decode_rows
from serve_cli.embed.stage_times import StageTimes
from serve_cli.sources.image_row import HeldImage, ImageRow
from serve_cli.sources.resolve import open_source
from serve_cli.sources.tables.parquet_table import ParquetTableReader
from tests.serve_cli.photos import photo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

MB = 1_000_000
BOUND = 420 * MB


@pytest.fixture
def jpeg(tmp_path: Path) -> bytes:
    return photo(tmp_path / "photo.jpg").read_bytes()


def embed(model: Path, table: Path, out: Path, *more: object) -> tuple[int, dict[str, Any], str]:
    """The command in a process of its own, whose memory is not that of other tests."""
    words = [model, table, "--out", out, "--threads", 4, "--json", *more]
    command = [sys.executable, "-m", "serve_cli.cli.main", "embed", *map(str, words)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.returncode, json.loads(found.stdout or "{}"), found.stderr


def write(path: Path, rows: Iterator[bytes] | list[bytes], each: int, **options: Any) -> Path:
    """A table of ``each`` rows in a row group, which take no more memory than that here."""
    group: list[bytes] = []
    with pq.ParquetWriter(path, pa.schema({"bytes": pa.binary()}), **options) as writer:
        for row in rows:
            group.append(row)
            if len(group) == each:
                writer.write_table(pa.table({"bytes": group}))
                group = []
    return path


@pytest.mark.parametrize("kind", ["one dictionary", "many groups", "plain"])
def test_large_images_stay_within_the_bound(tmp_path: Path, model: Path, jpeg: bytes, kind: str) -> None:
    size = 12 * MB
    same = [jpeg.ljust(size, b"\0")] * 40
    if kind == "one dictionary":  # 12 MB in the file's only page of values, 480 MB when all rows are read
        path = write(tmp_path / "m.parquet", same, 40)
    else:
        different = (jpeg.ljust(size, bytes([number])) for number in range(40))
        path = write(tmp_path / "m.parquet", different, 1, use_dictionary=kind == "many groups")
    assert path.stat().st_size < 60 * MB
    status, report, error = embed(model, path, tmp_path / "emb", "--max-memory", BOUND)
    assert (status, report["failed"]) == (0, 0), error
    assert report["peak_memory"] < BOUND


def test_page_larger_than_the_bound_is_said_before_it_is_read(tmp_path: Path, model: Path, jpeg: bytes) -> None:
    rows = [jpeg, *(jpeg.ljust(20 * MB, bytes([number])) for number in range(30))]
    path = write(tmp_path / "m.parquet", rows, len(rows))
    status, _, error = embed(model, path, tmp_path / "emb", "--max-memory", BOUND)
    assert status == 1
    assert "m.parquet, row group 0: reading it takes up to" in error
    assert "420 MB of memory. Write the file with row groups of a few images each, or give" in error
    assert not (tmp_path / "emb").exists()


def test_large_columns_that_are_carried_along(tmp_path: Path, model: Path, jpeg: bytes) -> None:
    path = tmp_path / "m.parquet"
    with pq.ParquetWriter(path, pa.schema({"bytes": pa.binary(), "back": pa.binary()}), use_dictionary=False) as writer:
        for number in range(60):
            back = [jpeg.ljust(MB, bytes([(5 * number + row) % 256])) for row in range(5)]
            writer.write_table(pa.table({"bytes": [jpeg] * 5, "back": back}))
    bound = 700 * MB
    status, report, error = embed(model, path, tmp_path / "emb", "--max-memory", bound, "--batch-size", 4)
    assert (status, report["failed"]) == (0, 0), error
    assert report["peak_memory"] < bound


class Counted(HeldImage):
    """Which counts the bytes of all that there are."""

    alive = most = 0

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        Counted.alive += self.size
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= self.size


def test_images_that_came_with_their_rows_are_bounded_together(jpeg: bytes) -> None:
    size, threads = 100_000, 2
    for each, most in ((size, 3), (5 * size, 5)):
        Counted.alive = Counted.most = 0
        rows = (ImageRow(str(row), "", content=Counted(jpeg.ljust(each, b"\0"))) for row in range(40))
        decoding = Decoding(threads, max_file_bytes=int(1.5 * size))
        kept = list(decode_rows(rows, Preprocessing(resize=8, crop=8), 8, decoding, StageTimes()))
        errors = [error for batch in kept for error in batch.errors[: len(batch.rows)]]
        assert len(errors) == 40
        assert all((error is None) == (each == size) for error in errors)
        # Those in threads, and the next one of the source: before it was bounded, all 40.
        assert Counted.most <= (most + 2) * each
        assert Counted.alive == 0


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip", "none"])
@pytest.mark.parametrize("encoding", [None, "PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_pages_are_those_of_the_file(tmp_path: Path, version: str, codec: str, encoding: str | None) -> None:
    rng = np.random.default_rng(0)
    values = [rng.bytes(int(size)) for size in rng.integers(0, 3000, 500)] + [b"x" * 60_000, None]
    options: dict[str, Any] = {"use_dictionary": True}
    if encoding is not None:
        options = {"use_dictionary": False, "column_encoding": {"x": encoding}}
    pq.write_table(
        *(pa.table({"x": values}), tmp_path / "m.parquet"),
        **{"compression": codec, "data_page_version": version, "data_page_size": 10_000, "write_batch_size": 10},
        **{"dictionary_pagesize_limit": 200_000, "write_statistics": False, **options},
    )
    with (tmp_path / "m.parquet").open("rb") as file:
        ((chunk,),) = read_chunks(file)
        pages = list(parquet_pages._pages(file, chunk))
        found = column_memory(file, chunk)
    assert sum(page.values for page in pages if not page.dictionary) == len(values)
    headers = 60 * len(pages)
    assert 0 <= chunk.stored_size - sum(page.stored_size for page in pages) < headers
    assert 0 <= chunk.size - sum(page.size for page in pages) < headers
    assert len(pages) > 5 or encoding == "DELTA_LENGTH_BYTE_ARRAY"  # which pyarrow 15 does not divide
    largest = max(len(value) for value in values if value is not None)
    assert largest <= found.value <= 300_000
    assert found.pages >= max(page.size for page in pages)
    assert found.row * max(page.values for page in pages) >= max(page.size for page in pages if not page.dictionary)


def test_rows_at_once_follow_the_largest_rows(tmp_path: Path) -> None:
    for size, rows in ((10, 1024), (100_000, 83), (20 * MB, 1)):
        write(tmp_path / "m.parquet", [bytes([number]) * size for number in range(3)], 1, use_dictionary=False)
        with (tmp_path / "m.parquet").open("rb") as file:
            found = column_memory(file, read_chunks(file)[0][0])
        assert found.rows_at_once == pytest.approx(rows, abs=1)
    # A small chunk may hold a value again and again.
    write(tmp_path / "m.parquet", [b"x" * MB] * 100, 100)
    with (tmp_path / "m.parquet").open("rb") as file:
        assert column_memory(file, read_chunks(file)[0][0]).rows_at_once == 8


def test_the_footer_says_what_pyarrow_says_of_it(tmp_path: Path) -> None:
    table = pa.table({"a": [{"b": ["x"] * 3, "c": 1.0}] * 9, "d": [b"x"] * 9, "e": [1] * 9})
    for options in (
        {},
        {"use_dictionary": False, "compression": "zstd"},
        {"use_dictionary": False, "column_encoding": {"d": "DELTA_BYTE_ARRAY"}},
    ):
        pq.write_table(table, tmp_path / "m.parquet", row_group_size=4, **options)
        with (tmp_path / "m.parquet").open("rb") as file:
            found = read_chunks(file)
        metadata = pq.read_metadata(tmp_path / "m.parquet")
        assert len(found) == metadata.num_row_groups
        for group, chunks in enumerate(found):
            expected = [metadata.row_group(group).column(number) for number in range(metadata.num_columns)]
            for one, other in zip(chunks, expected, strict=True):
                assert one[:5] == (
                    *(other.path_in_schema, metadata.row_group(group).num_rows, other.num_values),
                    *(other.total_uncompressed_size, other.total_compressed_size),
                )
                first = other.dictionary_page_offset if other.has_dictionary_page else other.data_page_offset
                assert (one.first, one.has_dictionary) == (first, other.has_dictionary_page)
                assert one.is_repeating == ("DELTA_BYTE_ARRAY" in other.encodings)
                assert one.is_bytes == (other.physical_type == "BYTE_ARRAY")
                assert CODECS.get(one.codec, "uncompressed") == other.compression.lower()


def test_what_is_read_of_a_file_whose_headers_are_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", [b"x"] * 3, 3)
    assert ParquetTableReader().memory(path, ["bytes"], []).where == f"{path}, row group 0"
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    from gluon_lifted.errors import DataError

    with pytest.raises(DataError, match=r"m\.parquet: not readable as parquet"):
        list(open_source(path))


def test_headers_of_any_bytes_end(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(3000):
        content = rng.bytes(int(rng.integers(0, 40)))
        try:
            parquet_pages._header(io.BytesIO(content), 0, len(content))
            outcomes.add("read")
        except ValueError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}
