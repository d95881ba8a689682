"""Embedding folders that lie: each ends in an error that names the file, before memory is taken."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.errors import RunError
from serve_cli import read_embeddings
from serve_cli.embeddings import reader
from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.reader import read_table
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.inspection import inspect_path
from tests.gluon_lifted.parquet.test_page_claims import nested
from tests.serve_cli.embedded import batches, write_folder
from tests.serve_cli.tiny_model import CARD

pytestmark = pytest.mark.slow

PART = {"file": "part-00000.parquet", "rows": 7, "failed": 2}


def folder_of(path: Path, dtype: str = "float32", layout: str = "parquet") -> Path:
    """Seven rows, two of which failed."""
    plan = Plan(
        "/photos",
        7,
        "ids",
        "paths",
        "carried",
        "files",
        "model",
        "CPUExecutionProvider",
        2,
        7,
        format=layout,
        dtype=dtype,
    )
    written = EmbeddingFolder(path, plan, CARD)
    written.write(0, batches(7, bad={1, 6}))
    written.complete({})
    return path


def refused(folder: Path, message: str) -> None:
    """The folder is refused, and next to no memory is taken for that."""
    tracemalloc.start()
    try:
        with pytest.raises(RunError, match=message):
            read_embeddings(folder)
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()


def edit(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 10**12},
        {"rows": 10**400},
        {"rows": 7.0},
        {"rows": "7"},
        {"rows": True},
        {"rows": -7},
        {"rows": None},
        {"rows": float("nan")},
        {"failed": -1},
        {"failed": 8},
        {"failed": True},
        {"manifest_version": True},
        {"manifest_version": 1.0},
        {"format": "npz"},
        {"format": ["parquet"]},
        {"format": None},
        {"dtype": ["float32"]},
        {"dtype": "object"},
        {"parts": {}},
        {"parts": [PART, PART], "rows": 14},
        {"parts": ["part-00000.parquet"]},
        {"parts": [{**PART, "rows": 7.0}]},
        {"parts": [{**PART, "rows": "7"}]},
        {"parts": [{**PART, "rows": True}], "rows": 1, "failed": 0},
        {"parts": [{**PART, "rows": 14}, {**PART, "file": "part-00001.parquet", "rows": -7}]},
        {"parts": [{**PART, "file": "../part-00000.parquet"}]},
        {"parts": [{**PART, "file": None}]},
        {"card": [1]},
    ],
)
def test_a_manifest_with_fields_of_other_kinds(tmp_path: Path, changes: dict[str, object]) -> None:
    edit(folder_of(tmp_path), **changes)
    refused(tmp_path, r"manifest\.json: is damaged")
    with pytest.raises(RunError, match=r"manifest\.json: is damaged"):
        inspect_path(tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "img_emb/../img_emb/img_emb_00000.npy", "img_emb_00000.npy", ""])
def test_a_manifest_that_names_other_files_of_numbers(tmp_path: Path, name: str) -> None:
    edit(folder_of(tmp_path, layout="npy"), parts=[{**PART, "file": name}])
    refused(tmp_path, r"manifest\.json: is damaged .*expected 'img_emb/img_emb_00000\.npy'")


@pytest.mark.parametrize("layout", ["parquet", "npy"])
def test_a_manifest_that_promises_more_rows_than_there_are(tmp_path: Path, layout: str) -> None:
    folder_of(tmp_path, layout=layout)
    part = json.loads((tmp_path / "manifest.json").read_text())["parts"][0]
    edit(tmp_path, rows=10**12, parts=[{**part, "rows": 10**12}])
    refused(tmp_path, "has 7 rows.* says 1000000000000; embed again")


@pytest.mark.parametrize("layout", ["parquet", "npy"])
@pytest.mark.parametrize("dim", [10**9, 10**100, 9])
def test_a_card_with_another_width(tmp_path: Path, layout: str, dim: int) -> None:
    folder_of(tmp_path, layout=layout)
    edit(tmp_path, card={**json.loads(CARD.to_json()), "dim": dim})
    refused(tmp_path, r"part-00000\.parquet: |img_emb_00000\.npy: holds|the model card is damaged")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": True}, "damaged"),
        ({"dim": -1}, "damaged"),
        ({"dim": 0}, "damaged"),
        ({"dim": 8.0}, "damaged"),
        ({"name": "\ud800"}, "damaged"),
        ({"preprocessing": None}, "damaged"),
        ({"provenance": {"a": 1}}, "damaged"),
        ({"mystery": json.loads("[" * 900 + "]" * 900)}, "too deeply|of another model|damaged"),
    ],
)
def test_a_damaged_card(tmp_path: Path, change: dict[str, object], message: str) -> None:
    folder_of(tmp_path)
    edit(tmp_path, card={**json.loads(CARD.to_json()), **change})
    if "mystery" in change:  # what nobody asks for does no harm, but must not end in a traceback
        read_embeddings(tmp_path)
    else:
        refused(tmp_path, message)
    for name in CARD.__dataclass_fields__:
        edit(tmp_path, card={key: value for key, value in json.loads(CARD.to_json()).items() if key != name})
        refused(tmp_path, "model card is damaged")


def test_a_manifest_that_counts_other_failures(tmp_path: Path) -> None:
    edit(folder_of(tmp_path), failed=0)
    refused(tmp_path, r"2 rows have an error, but manifest\.json says 0")


@pytest.mark.parametrize("model", [[], "x", {"file": {}}, None])
def test_inspect_takes_any_kind_in_fields_that_are_for_people(tmp_path: Path, model: object) -> None:
    edit(folder_of(tmp_path), model=model, source=3, created={})
    assert inspect_path(tmp_path).about["model"] == "unknown, sha256 unknown"


def test_embeddings_that_memory_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path)
    monkeypatch.setattr(reader, "usable_memory", lambda: 7 * 8 * 4 - 1)
    refused(tmp_path, "7 embeddings of 8 numbers need 0.0 GB of memory")
    monkeypatch.setattr(reader, "usable_memory", lambda: 7 * 8 * 4)
    assert len(read_embeddings(tmp_path).ids) == 7


def test_a_folder_without_rows(tmp_path: Path) -> None:
    for layout in ("parquet", "npy"):
        edit(folder_of(tmp_path / layout, layout=layout), rows=0, failed=0, parts=[])
    (tmp_path / "parquet" / "part-00000.parquet").unlink()
    for layout in ("parquet", "npy"):
        found = read_embeddings(tmp_path / layout)
        assert (found.ids, found.embedding.shape) == ((), (0, 8))


def rewrite(folder: Path, change, **options) -> None:
    """Write the part again with its own schema, from rows that ``change`` has had."""
    part = folder / "part-00000.parquet"
    columns, rows = pq.read_schema(part), read_table(part).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, columns), part, **options)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("layout", ["parquet", "npy"])
def test_numbers_that_are_not_finite(tmp_path: Path, value: float, layout: str) -> None:
    folder_of(tmp_path, layout=layout)
    if layout == "parquet":
        rewrite(tmp_path, lambda rows: rows[3]["embedding"].__setitem__(2, value))
    else:
        path = tmp_path / "img_emb/img_emb_00000.npy"
        numbers = np.load(path)
        numbers[2, 2] = value
        np.save(path, numbers)
    refused(tmp_path, r"the embedding of '3\.jpg' has NaN or infinity, and its row has no error \(1 such rows\)")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 3e38])
@pytest.mark.parametrize("layout", ["parquet", "npy"])
def test_scales_that_cannot_be(tmp_path: Path, value: float, layout: str) -> None:
    folder_of(tmp_path, "int8", layout)
    if layout == "parquet":
        rewrite(tmp_path, lambda rows: rows[3].update(scale=value))
    else:
        path = tmp_path / "metadata/metadata_00000.parquet"
        table = pq.read_table(path)
        pq.write_table(table.set_column(3, table.schema.field(3), pa.array([value] * 5, pa.float32())), path)
    refused(tmp_path, "a finite number, 0 or more|has NaN or infinity")


def test_a_scale_that_stands_in_another_row(tmp_path: Path) -> None:
    def change(rows):
        rows[0]["scale"], rows[1]["scale"] = None, rows[0]["scale"]

    folder_of(tmp_path, "int8")
    rewrite(tmp_path, change)
    refused(tmp_path, "without a scale")


@pytest.mark.parametrize(("column", "row"), [("id", 0), ("path", 0), ("label", 0), ("error", 1)])
def test_text_that_is_not_utf_8(tmp_path: Path, column: str, row: int) -> None:
    folder_of(tmp_path)
    rewrite(tmp_path, lambda rows: rows[row].update({column: "QQQQ"}), compression="none", write_statistics=False)
    part = tmp_path / "part-00000.parquet"
    part.write_bytes(part.read_bytes().replace(b"QQQQ", b"\xff\xfe\xff\xfe"))
    refused(tmp_path, r"part-00000\.parquet: cannot be read \(.*UTF8")


def test_text_that_is_far_too_long(tmp_path: Path) -> None:
    folder_of(tmp_path)
    rewrite(tmp_path, lambda rows: rows[0].update(id="x" * (1 << 16)))
    assert len(read_embeddings(tmp_path).ids[0]) == 1 << 16
    rewrite(tmp_path, lambda rows: rows[0].update(id="x" * ((1 << 16) + 1)))
    refused(tmp_path, r"column 'id' has a string of 65,537 bytes; at most 65,536")


@pytest.mark.parametrize("column", ["id", "path", "label", "error"])
def test_a_small_file_that_holds_gigabytes(tmp_path: Path, column: str) -> None:
    """120 MB here, which zstd makes 12 kB; the footer tells before a byte is decompressed."""
    folder_of(tmp_path)
    text = {"label": {"label": "x" * 60_000_000}}.get(column, {column: "x" * 120_000_000})
    rewrite(tmp_path, lambda rows: rows[1].update(text), compression="zstd")
    assert (tmp_path / "part-00000.parquet").stat().st_size < 100_000
    taken = pa.total_allocated_bytes()
    refused(tmp_path, rf"column '{column}' has 7 values in \d+,000,\d+ bytes, too much for 7 rows")
    assert pa.total_allocated_bytes() - taken < 1 << 24


def test_a_text_that_stands_in_many_rows_is_in_memory_once(tmp_path: Path) -> None:
    """A dictionary makes a long label cost a few bytes a row in a file."""
    (one,) = batches(2000)
    rows = [replace(row, id="x" * 50_000, label="y" * 50_000) for row in one.rows]
    write_folder(tmp_path, [replace(one, rows=rows)], 2000)
    part = tmp_path / "part-00000.parquet"
    schema, lists = pq.read_schema(part), pq.read_schema(part).field("embedding").type
    table = read_table(part)
    numbers = pa.FixedSizeListArray.from_arrays(table["embedding"].combine_chunks().flatten(), type=lists)
    columns = [numbers if name == "embedding" else table[name] for name in schema.names]
    pq.write_table(pa.table(columns, schema=schema), part)  # with dictionaries for all
    tracemalloc.start()
    found = read_embeddings(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.ids[-1], found.label_names[-1]) == ("x" * 50_000, "y" * 50_000)
    assert peak < 1 << 24  # apart they would be 200 MB


def test_row_groups_that_lists_do_not_fill(tmp_path: Path) -> None:
    """One list too short and one too long: together the numbers are as many as expected."""
    folder_of(tmp_path)
    part = tmp_path / "part-00000.parquet"
    columns, table = pq.read_schema(part), read_table(part)
    rows = table.to_pylist()
    rows[0]["embedding"], rows[2]["embedding"] = [0.0] * 7, [0.0] * 9
    with pq.ParquetWriter(part, table.schema, store_schema=False) as writer:
        writer.write_table(pa.Table.from_pylist(rows, table.schema))
        writer.add_key_value_metadata({"ARROW:schema": base64.b64encode(columns.serialize())})
    refused(tmp_path, "not 8 numbers, or null without an error")


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary()])
def test_columns_of_other_types(tmp_path: Path, kind: pa.DataType) -> None:
    folder_of(tmp_path)
    part = tmp_path / "part-00000.parquet"
    columns, rows = pq.read_schema(part), read_table(part).to_pylist()
    schema = columns.set(0, pa.field("id", kind, nullable=False))
    rows = [{**row, "id": row["id"].encode() if kind == pa.binary() else row["id"]} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows, schema), part)
    refused(tmp_path, "has other columns than")


def test_a_flipped_byte_in_a_page_is_noticed(tmp_path: Path) -> None:
    """Nothing in zstd or parquet itself would notice a changed number."""
    folder_of(tmp_path)
    rewrite(tmp_path, lambda rows: None, compression="none", write_page_checksum=True, use_dictionary=False)
    part = tmp_path / "part-00000.parquet"
    old, new = (np.array([6.5, number], np.float32).tobytes() for number in (6.75, 6.76))
    assert part.read_bytes().count(old) == 1
    part.write_bytes(part.read_bytes().replace(old, new))
    refused(tmp_path, r"part-00000\.parquet: cannot be read \(.*CRC")


def test_parts_are_written_with_checksums(tmp_path: Path) -> None:
    """Every page of the file: a byte changed in any of them is found."""
    folder_of(tmp_path)
    part = tmp_path / "part-00000.parquet"
    whole, metadata = part.read_bytes(), pq.read_metadata(part)
    for index in range(5):
        column = metadata.row_group(0).column(index)
        last = column.data_page_offset + column.total_compressed_size - 2
        if column.has_dictionary_page:
            last = column.dictionary_page_offset + column.total_compressed_size - 2
        part.write_bytes(whole[:last] + bytes([whole[last] ^ 1]) + whole[last + 1 :])
        refused(tmp_path, r"part-00000\.parquet: cannot be read")


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, array, version)
    return content.getvalue()


GOOD = next(batches(7, bad={1, 6})).embedding[[0, 2, 3, 4, 5]]


def archive() -> bytes:
    content = io.BytesIO()
    np.savez(content, GOOD)
    return content.getvalue()


def header(shape: str, kind: str = "<f4", order: str = "False") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        archive(),
        npy(GOOD.astype(">f4")),
        npy(GOOD.astype(np.float64)),
        npy(GOOD.astype(np.int32)),
        npy(GOOD.view([("a", "<f4"), ("b", "<f4")])),
        npy(GOOD.ravel()),
        npy(GOOD[:, :, None]),
        npy(GOOD, (3, 0)),
        npy(GOOD)[:-1],
        npy(GOOD) + b"\0",
        npy(GOOD)[:60],
        npy(GOOD)[:9],
        b"",
        header("(5, 8)"),
        header("(1000000000000, 8)"),
        header("(999999999999999999, 999999999999999999)"),
        header("(" + "9" * 40 + ", 8)"),
        header("(-5, 8)") + GOOD.tobytes(),
        header("(5, 8)", "|O") + GOOD.tobytes() * 2,
        header("(5, 8)", "<f3") + GOOD.tobytes(),
        header("(5, __import__('os'))") + GOOD.tobytes(),
        header("(" * 100) + GOOD.tobytes(),
    ],
)
def test_files_of_numbers_that_are_not_what_they_should_be(tmp_path: Path, content: bytes) -> None:
    folder_of(tmp_path, layout="npy")
    (tmp_path / "img_emb/img_emb_00000.npy").write_bytes(content)
    refused(tmp_path, r"img_emb_00000\.npy: (cannot be read|holds)")
    plan = Plan("/photos", 7, "ids", "paths", "carried", "files", "model", "CPUExecutionProvider", 2, 7, format="npy")
    assert EmbeddingFolder(tmp_path, plan, CARD).finished == {}  # nor does a run that goes on take it


def test_numbers_in_fortrans_order_are_right(tmp_path: Path) -> None:
    folder_of(tmp_path, layout="npy")
    (tmp_path / "img_emb/img_emb_00000.npy").write_bytes(npy(np.asfortranarray(GOOD)))
    np.testing.assert_array_equal(read_embeddings(tmp_path).embedding[:5], GOOD)


@pytest.mark.parametrize("name", ["part-00000.parquet", "img_emb/img_emb_00000.npy", "metadata/metadata_00000.parquet"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, name: str, kind: str) -> None:
    folder_of(tmp_path, layout="parquet" if name.startswith("part") else "npy")
    path = tmp_path / name
    path.unlink()
    {"pipe": os.mkfifo, "device": lambda one: one.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](path)
    refused(tmp_path, re.escape(path.name) + ": cannot be read")


@pytest.mark.parametrize("change", ["types", "nulls", "missing"])
def test_metadata_of_npy_parts_that_does_not_fit(tmp_path: Path, change: str) -> None:
    folder_of(tmp_path, layout="npy")
    path = tmp_path / "metadata/metadata_00000.parquet"
    table = pq.read_table(path)
    if change == "types":
        table = table.set_column(0, "id", pa.array(range(5)))
    elif change == "nulls":
        table = table.set_column(0, "id", pa.array([None, "b", "c", "d", "e"]))
    else:
        table = table.drop_columns("label")
    pq.write_table(table, path)
    refused(tmp_path, "has other columns than|has a row without an id")


@pytest.mark.parametrize(
    "name", ["part-00000.parquet", "metadata/metadata_00000.parquet", "failed/failed_00000.parquet"]
)
def test_columns_that_are_nested_far_too_deeply(tmp_path: Path, name: str) -> None:
    layout = "parquet" if name.startswith("part") else "npy"
    folder_of(tmp_path, layout=layout)
    (tmp_path / name).write_bytes(nested(20_000))
    refused(tmp_path, r"\.parquet: cannot be read \(its columns are nested too deeply\)")
    plan = Plan("/photos", 7, "ids", "paths", "carried", "files", "model", "CPUExecutionProvider", 2, 7, format=layout)
    assert EmbeddingFolder(tmp_path, plan, CARD).finished == {}


def test_a_flipped_bit_in_the_footer(tmp_path: Path) -> None:
    """pyarrow raises errors of many kinds for them, and would end the process for some."""
    folder_of(tmp_path)
    part = tmp_path / "part-00000.parquet"
    whole = part.read_bytes()
    for place in range(len(whole) - 8 - int.from_bytes(whole[-8:-4], "little"), len(whole), 3):
        part.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            found = read_embeddings(tmp_path)
        except RunError:
            continue
        assert found.embedding.shape == (7, 8)
