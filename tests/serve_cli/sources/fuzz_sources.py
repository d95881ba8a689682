"""Hostile tables, lists and tar shards, without end: `python -m tests.serve_cli.sources.fuzz_sources --minutes 10`.

Files that can be read are damaged at random and gone through as `lifted embed` does: names first, then rows from some
number on, and the bytes of each image. Each must end in rows or in one of our own errors, within seconds and within
bounded memory. Anything else is printed with its seed, and the exit status is 1.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import tarfile
import tempfile
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.errors import ImageError, LiftedError
from serve_cli.embeddings.arrow_table import carried_column
from serve_cli.sources.resolve import open_source
from serve_cli.sources.tables.columns import Columns
from tests.fuzzing import damaged_bytes, fuzz

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

IMAGE_LIMIT = 1 << 20  # bytes
MOST_ROWS = 2000  # a damaged file may say that it has any number of them
ROWS = [
    {
        "id": f"sku-{number}",
        "path": f"photos/{number}.jpg",
        "label": "cat" if number % 2 else None,
        "note": "x" * number,
    }
    for number in range(30)
]


def shard(style: int) -> bytes:
    """A tar file with long names, links, labels, sparse files and hidden members."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=style, pax_headers={"comment": "made by hand"}) as archive:
        for number in range(8):
            folder = "d" * (200 if number % 3 == 2 else 3)
            for suffix, size in (("jpg", 100 * number), ("cls", 3), ("json", 10)):
                member = tarfile.TarInfo(f"{folder}/ü{number}.{suffix}")
                member.size = size
                archive.addfile(member, io.BytesIO(bytes(size)))
            hidden = tarfile.TarInfo(f"{folder}/._{number}.jpg")
            hidden.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
            archive.addfile(hidden)
            link = tarfile.TarInfo(f"{folder}/link{number}.jpg")
            link.type, link.linkname = tarfile.SYMTYPE, "l" * (50 * number)
            archive.addfile(link)
    return content.getvalue()


def table_of_text(kind: str) -> bytes:
    text = io.StringIO(newline="")
    if kind == ".csv":
        writer = csv.DictWriter(text, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    elif kind == ".jsonl":
        text.writelines(json.dumps(row) + "\n" for row in ROWS)
    else:
        text.writelines(f"{row['path']}\n" for row in ROWS)
    return text.getvalue().encode("utf-8-sig" if kind != ".jsonl" else "utf-8")


def table_of_arrow(**settings: Any) -> bytes:
    """Images in bytes and in structs, paths, and columns of many types."""
    count = len(ROWS)
    images = [bytes([number]) * (200 if number % 2 else 3000) for number in range(count)]
    columns = {
        "id": pa.array([row["id"] for row in ROWS]).dictionary_encode(),
        "path": pa.array([row["path"] if number % 3 else None for number, row in enumerate(ROWS)]),
        "bytes": pa.array([one if number % 5 else None for number, one in enumerate(images)]),
        "image": pa.array([{"bytes": one, "path": "a.jpg"} for one in images]),
        "label": pa.array([number % 7 for number in range(count)], pa.uint8()),
        "sized": pa.array([[1.0, None] if number % 4 else None for number in range(count)], pa.list_(pa.float32(), 2)),
        "tags": pa.array([[{"a": ["x"] * (number % 3)}] * (number % 2) for number in range(count)]),
        "when": pa.array([number * 10**17 for number in range(count)], pa.int64()).view(pa.timestamp("us")),
    }
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content, **settings)
    return content.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "gnu.tar": lambda: shard(tarfile.GNU_FORMAT),
    "pax.tar": lambda: shard(tarfile.PAX_FORMAT),
    "a.csv": lambda: table_of_text(".csv"),
    "a.jsonl": lambda: table_of_text(".jsonl"),
    "a.txt": lambda: table_of_text(".txt"),
    "one.parquet": table_of_arrow,
    "many.parquet": lambda: table_of_arrow(row_group_size=7, compression="zstd", data_page_version="2.0"),
    "plain.parquet": lambda: table_of_arrow(use_dictionary=False, compression="none", write_page_checksum=True),
}


@lru_cache
def whole(name: str) -> bytes:
    return KINDS[name]()


def damaged(name: str, rng: random.Random) -> bytes:
    """Damage anywhere; more of it in headers of tar files and footers of parquet."""
    content = whole(name)
    if name.endswith(".tar") and rng.random() < 0.5:
        return damaged_header(content, rng)
    if name.endswith(".parquet") and rng.random() < 0.6:
        footer = int.from_bytes(content[-8:-4], "little")
        body, end = content[: -8 - footer], content[-8:]
        changed = damaged_bytes(content[-8 - footer : -8], rng)
        return body + changed + (len(changed).to_bytes(4, "little") if rng.random() < 0.9 else end[:4]) + end[4:]
    return damaged_bytes(content, rng)


def damaged_header(content: bytes, rng: random.Random) -> bytes:
    """Fields of a header exchanged, with its checksum right again."""
    blocks = [content[start : start + 512] for start in range(0, len(content), 512)]
    headers = [number for number, block in enumerate(blocks) if block[257:262] == b"ustar"]
    for number in rng.sample(headers, rng.choice([1, 1, 3])):
        header = bytearray(blocks[number])
        sizes = [
            b"77777777777\0",
            b"00000000000\0",
            b"\x80" + b"\xff" * 11,
            b"\xff" * 12,
            b"\x80" + bytes(5) + b"\1" * 6,
        ]
        fields = {124: sizes, 156: [bytes([one]) for one in b"0123456789xgLKSXA\0"], 0: [b"\0", b"../x.jpg\0", b"/\0"]}
        offset = rng.choice(list(fields))
        field = rng.choice(fields[offset])
        header[offset : offset + len(field)] = field
        header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 8 * 32)
        blocks[number] = bytes(header)
    return b"".join(blocks)


def read(path: Path, columns: Columns, start: int) -> None:
    """Go through a source as a run does."""
    source = open_source(path, columns)
    for row in islice(source.names(), MOST_ROWS):
        f"{row.id}\0{row.label}\n".encode()
    if source.memory is not None:
        source.memory()
    rows = []
    for row in islice(source.rows(start), MOST_ROWS):
        rows.append(row)
        if row.content is not None:
            try:
                row.content(limit=IMAGE_LIMIT)
            except ImageError as error:
                str(error).encode()
        repr(row.extra)
    for field in source.extra:
        carried_column(rows, field)


def attempt(rng: random.Random) -> str:
    """One damaged file; what became of it, in a word."""
    name = rng.choice(list(KINDS))
    columns = Columns(bytes="image") if name.endswith(".parquet") and rng.random() < 0.5 else Columns()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(damaged(name, rng))
        try:
            read(path, columns, rng.choice([0, 0, 1, 8, 40]))
        except LiftedError as error:
            str(error).encode()
            return "refused"
    return "read"


if __name__ == "__main__":
    sys.exit(fuzz(__doc__.splitlines()[0], attempt))
