"""The plan of a `lifted embed` run, stored in its folder so that another run can resume."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import pyarrow as pa

from gluon_lifted.errors import RunError
from gluon_lifted.images import MAX_PIXELS
from gluon_lifted.progress import open_progress
from serve_cli.embeddings.arrow_table import carried_column
from serve_cli.embeddings.part_columns import PLAN
from serve_cli.embeddings.part_formats import DEFAULT_FORMAT
from serve_cli.sources.image_row import Cell
from serve_cli.sources.source import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from serve_cli.sources.image_row import ImageRow
    from serve_cli.sources.source import Source

MAX_BYTES = 1 << 16
GROUP_ROWS, GROUP_BYTES = 1000, 1 << 24  # limits for rows in memory, and for the columns that they carry along


@dataclass(frozen=True)
class Survey:
    """The number of a source's rows, and SHA-256 hashes over all rows, in order.

    Parameters
    ----------
    rows : int
        Number of rows.
    ids_sha256 : str
        Hash of the ids and labels.
    paths_sha256 : str
        Hash of the paths or URLs of the images.
    carried_sha256 : str
        Hash of the columns that the rows carry along.
    files_sha256 : str
        Hash of the files' sizes and modification times, where the source knows them; see `ImageRow`.
    """

    rows: int
    ids_sha256: str
    paths_sha256: str
    carried_sha256: str
    files_sha256: str


@dataclass(frozen=True)
class Plan:
    """Everything that determines the rows of each part and their embeddings.

    Parameters
    ----------
    source : str
        Root of the source.
    rows, ids_sha256, paths_sha256, carried_sha256, files_sha256
        See `Survey`.
    model_sha256 : str
        Hash of the model with its external data and its preprocessing.
    provider : str
        The onnxruntime execution provider that runs the network.
    batch_size : int
        Each part starts with a new batch, so that batches do not depend on which run computes a part.
    rows_per_file : int
        Rows per part file. The last part may have fewer.
    pixel_limit : int
        Images with more pixels are not decoded.
    format : str
        A key of `serve_cli.embeddings.part_formats.FORMATS`.
    dtype : str
        Storage type, a key of `serve_cli.embeddings.vectors.DTYPES`.
    checksums : bool
        Whether there are columns with the hash and size of the images' files.
    columns : str
        Names of the table columns for id, path, bytes and label.
    """

    source: str
    rows: int
    ids_sha256: str
    paths_sha256: str
    carried_sha256: str
    files_sha256: str
    model_sha256: str
    provider: str
    batch_size: int
    rows_per_file: int
    pixel_limit: int = MAX_PIXELS
    format: str = DEFAULT_FORMAT
    dtype: str = "float32"
    checksums: bool = False
    columns: str = ""

    @property
    def survey(self) -> Survey:
        """The survey of the source."""
        return Survey(self.rows, self.ids_sha256, self.paths_sha256, self.carried_sha256, self.files_sha256)

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.rows // self.rows_per_file)

    def rows_of(self, part: int) -> range:
        """Return the row numbers of a part."""
        return range(part * self.rows_per_file, min((part + 1) * self.rows_per_file, self.rows))

    def to_json(self) -> str:
        """Return the contents of ``plan.json``."""
        return json.dumps(asdict(self), indent=2) + "\n"


DIFFERENCES = {
    "source": "the source has changed",
    "columns": "the names of the table's columns have changed",
    "rows": "the number of images has changed",
    "ids_sha256": "images or labels have changed",
    "paths_sha256": "the paths of images have changed",
    "carried_sha256": "values or types of carried columns have changed",
    "files_sha256": "sizes or modification times of image files have changed. If their contents are the same, for "
    "instance after a copy, resume with --ignore-changed-files; if failed images were repaired, with --retry-failed",
    "model_sha256": "the model has changed",
    "provider": "the device that runs the network has changed",
    "batch_size": "the batch size has changed",
    "rows_per_file": "the number of rows per file has changed",
    "pixel_limit": "the pixel limit has changed",
    "format": "the format of part files has changed",
    "dtype": "the storage type has changed",
    "checksums": "the setting of --checksums has changed",
}


def survey(source: Source) -> Survey:
    """Read a source once without keeping its rows, with progress on stderr."""
    ids, paths, carried, files = (hashlib.sha256() for _ in range(4))
    count = 0
    with open_progress("list", total=None) as progress:
        for group in _groups(source.names()):
            for row in group:
                ids.update(json.dumps((row.id, row.label)).encode())
                paths.update(json.dumps(as_text(row.path)).encode())
                files.update(json.dumps(row.stamp).encode())
            for field in source.extra:
                carried.update(json.dumps([field.name, str(field.type)]).encode())
                carried.update(_digest(carried_column(group, field), field))
            count += len(group)
            progress.update(count)
    return Survey(count, *(digest.hexdigest() for digest in (ids, paths, carried, files)))


def _groups(rows: Iterable[ImageRow]) -> Iterator[list[ImageRow]]:
    """Group rows for processing, in smaller groups if they carry large columns."""
    group: list[ImageRow] = []
    columns: dict[int, pa.Array] = {}
    size = 0
    for row in rows:
        group.append(row)
        for value in row.extra.values():
            if isinstance(value, Cell) and id(value.column) not in columns:
                columns[id(value.column)] = value.column  # a value keeps all of its column in memory
                size += value.column.nbytes
        if len(group) == GROUP_ROWS or size > GROUP_BYTES:
            yield group
            group, columns, size = [], {}, 0
    if group:
        yield group


def _digest(column: pa.ChunkedArray, field: pa.Field) -> bytes:
    """Compute the SHA-256 of a column in Arrow, since Python has no objects for some values."""
    batch = pa.record_batch([column.combine_chunks()], schema=pa.schema([field]))
    return hashlib.sha256(batch.serialize()).digest()


def read_plan(folder: Path) -> Plan | None:
    """Read the plan of a folder, or return None if it has none. Raises `RunError` if it is damaged."""
    path = folder / PLAN
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        values = json.loads(path.read_text(encoding="utf-8"))
        kinds = {field.name: {"str": str, "int": int, "bool": bool}[str(field.type)] for field in fields(Plan)}
        if values.keys() != kinds.keys() or any(type(values[name]) is not kind for name, kind in kinds.items()):
            raise ValueError("unexpected fields")
        return Plan(**values)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"{path}: is damaged ({error}); embed again with --overwrite.") from None


def difference(old: Plan, new: Plan) -> str:
    """Describe the first difference between two plans, or return an empty string if there is none."""
    for name, description in DIFFERENCES.items():
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            return description if name.endswith("_sha256") else f"{description} (from {before} to {now})"
    return ""
