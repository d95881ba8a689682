"""Page headers as pyarrow writes them, and forged ones."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.parquet.page_claims import Chunk, read_groups

pytestmark = pytest.mark.slow


def written(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


TABLE = pa.table(
    {
        "text": [None, "b" * 5000, "c", "c"] * 700,
        "lists": [[1.5, 2.5], None, [], [3.0]] * 700,
        "number": pa.array([*range(100)] * 28, pa.int8()),
    }
)


@pytest.mark.parametrize("compression", ["none", "zstd", "snappy", "gzip"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("rows", [2800, 999, 1])
def test_sizes_are_those_that_the_writer_says(compression: str, dictionary: bool, version: str, rows: int) -> None:
    content = written(
        TABLE.slice(0, max(rows, 30)),
        compression=compression,
        use_dictionary=dictionary,
        data_page_version=version,
        row_group_size=rows,
        data_page_size=4000,
    )
    groups, metadata = read_groups(io.BytesIO(content), 3), pq.read_metadata(io.BytesIO(content))
    assert len(groups) == metadata.num_row_groups
    for number, group in enumerate(groups):
        expected = metadata.row_group(number)
        assert group.rows == expected.num_rows
        for index, chunk in enumerate(group.chunks):
            column = expected.column(index)
            assert chunk == (column.num_values, column.total_uncompressed_size)
    assert [len(group.chunks) for group in read_groups(io.BytesIO(content), 1)] == [1] * len(groups)


def test_a_file_without_rows() -> None:
    assert read_groups(io.BytesIO(written(TABLE.slice(0, 0))), 3) in (
        [],
        [(0, (Chunk(0, 0),) * 3)],
    )


def test_an_encoding_that_makes_much_of_little() -> None:
    content = written(
        TABLE, use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY", "number": "PLAIN"}, compression="none"
    )
    with pytest.raises(ValueError, match="DELTA_BYTE_ARRAY"):
        read_groups(io.BytesIO(content), 1)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"PAR1\xff\xff\xff\x7fPAR1", b"PAR1" + bytes(200)])
def test_what_is_no_parquet_file(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a parquet file|footer"):
        read_groups(io.BytesIO(content), 1)


FOOTERS = [b"", b"\x00", b"\x4c" * 100, b"\x49" + b"\x1c" * 500, b"\x49\xfc\xff\xff\xff\x0f", b"\x15" + b"\xff" * 50]


@pytest.mark.parametrize("footer", FOOTERS)
def test_footers_that_are_none(footer: bytes) -> None:
    """Endlessly nested structs and lists, and lists and numbers longer than the file."""
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(ValueError, match=r"footer|header"):
        read_groups(io.BytesIO(content), 1)


def test_any_flipped_bit_of_a_footer_is_read_or_refused() -> None:
    """pyarrow crashes on some of them when asked for the size of a column."""
    content = written(TABLE.slice(0, 20))
    length = int.from_bytes(content[-8:-4], "little")
    for offset in range(len(content) - 8 - length, len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[offset] ^= 1 << bit
            try:  # noqa: SIM105  # the loop is the test
                read_groups(io.BytesIO(damaged), 3)
            except ValueError:
                pass


def test_a_footer_that_claims_less_than_its_pages() -> None:
    """The sizes in footers are changed. The sizes of the pages are used."""
    content = written(
        pa.table({"text": ["x" * 40_000_000]}), compression="zstd", use_dictionary=False, write_statistics=False
    )
    column = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0)
    claim, truth = varint(1000), varint(column.total_uncompressed_size)
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    footer = content[start:-8]
    assert footer.count(truth) == 2  # of the column, and of its row group
    forged = footer.replace(truth, claim)
    content = content[:start] + forged + len(forged).to_bytes(4, "little") + b"PAR1"
    assert pq.read_metadata(io.BytesIO(content)).row_group(0).column(0).total_uncompressed_size == 1000
    (group,) = read_groups(io.BytesIO(content), 1)
    assert group.chunks == (Chunk(1, column.total_uncompressed_size),)


def varint(number: int) -> bytes:
    """Encode an integer in Thrift's compact protocol."""
    number, actual = 2 * number, []
    while number >= 128:
        actual.append(number & 127 | 128)
        number >>= 7
    return bytes([*actual, number])


def nested(depth: int) -> bytes:
    """A file without rows whose only column is inside ``depth`` others."""
    group, leaf = b"\x35\x02\x18\x01a\x15\x02\x00", b"\x15\x02\x25\x02\x18\x01a\x00"
    size = bytes([(depth + 2) & 127 | 128, (depth + 2) >> 7 & 127 | 128, (depth + 2) >> 14])
    schema = b"\x19\xfc" + size + b"\x48\x01a\x15\x02\x00" + group * depth + leaf
    footer = b"\x15\x02" + schema + b"\x16\x00\x19\x0c\x00"
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def test_columns_inside_one_another() -> None:
    """At a depth of 20,000 pyarrow overflows its stack."""
    assert pq.read_metadata(io.BytesIO(nested(90))).num_columns == 1
    assert read_groups(io.BytesIO(nested(90)), 1) == []
    for depth in (110, 20_000, 1_000_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            read_groups(io.BytesIO(nested(depth)), 1)
    wide = pa.table({f"c{number}": [{"a": [1], "b": 2}] for number in range(300)})
    assert len(read_groups(io.BytesIO(written(wide)), 2)) == 1
