"""Read a finished embedding folder batch by batch, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gluon_lifted.errors import RunError
from serve_cli.embeddings.checked_parquet import SLACK, TEXT_BYTES, text_bytes
from serve_cli.embeddings.embedding_manifest import manifest_card, read_manifest
from serve_cli.embeddings.part_columns import MANIFEST
from serve_cli.embeddings.part_formats import FORMATS
from serve_cli.embeddings.reader import embedded_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from serve_cli.embeddings.parts import PartRows

BATCH_ROWS = 10_000
TEXTS = ("id", "path", "label")


@dataclass(frozen=True, eq=False)
class EmbeddedBatch:
    """Some rows that have an embedding.

    Parameters
    ----------
    table : Table
        n rows: ``id``, ``path`` and ``label`` as text, then the carried columns.
    embedding : ndarray, float32, (n, D)
        Finite.
    """

    table: pa.Table
    embedding: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.table)


class EmbeddingStream:
    """The rows of an embedding folder that have a finite embedding, in the order of the folder.

    Nothing in the folder is trusted; see `serve_cli.embeddings.reader.read_embeddings`.

    Parameters
    ----------
    folder : path
        A finished embedding folder, in any format.

    Attributes
    ----------
    name : str
        Name of the folder.
    card : ModelCard
        Card of the model that computed the embeddings.
    dtype : str
        Type in which they are stored: ``"float32"``, ``"float16"`` or ``"int8"``.
    rows, failed : int
        Number of rows with and without an embedding.
    not_finite : int
        How many of ``rows`` have an embedding with NaN or infinity, and are left out. 0 until `batches` has been read
        to its end for the first time.
    schema : Schema
        Columns of `EmbeddedBatch.table`.
    model, model_sha256 : str or None
        Path and hash of the ONNX file, as the manifest names them.
    source : str or None
        Folder, file, pattern or URL of the images, as the manifest names it.

    Raises
    ------
    RunError
        If the folder is missing or not finished, or a part is missing, damaged or does not match the manifest.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        manifest = read_manifest(self.folder)
        self.name = self.folder.resolve().name
        self.card, self.dtype = manifest_card(self.folder, manifest), str(manifest["dtype"])
        _, open_reader = FORMATS[manifest["format"]].load()
        self._parts = open_reader(self.folder, self.card, self.dtype)
        self._sizes = [part["rows"] for part in manifest["parts"]]
        self._files = [self.folder / part["file"] for part in manifest["parts"]]
        self._parts.check_files(len(self._sizes))
        for number, size in enumerate(self._sizes):
            self._parts.check(number, size)
        self.failed: int = manifest["failed"]
        self.rows: int = manifest["rows"] - self.failed
        self.not_finite = 0
        self._carried = self._parts.carried(0) if self._sizes else pa.schema([])
        self.schema = pa.schema([*(pa.field(name, pa.string()) for name in TEXTS), *self._carried])
        model = manifest.get("model")
        self.model, self.model_sha256 = (_text(model, name) for name in ("path", "sha256"))
        self.source = _text(manifest, "source")

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[EmbeddedBatch]:
        """Iterate over the rows. Every batch but the last has ``rows`` of them. Raises `RunError`."""
        waiting: list[EmbeddedBatch] = []
        count = 0
        for batch in self._groups():
            waiting.append(batch)
            count += len(batch)
            while count >= rows:
                first, rest = _split(_joined(waiting), rows)
                yield first
                waiting, count = [rest], len(rest)
        if count:
            yield _joined(waiting)

    def _groups(self) -> Iterator[EmbeddedBatch]:
        """Iterate over row groups."""
        failed = count = not_finite = 0
        for number, size in enumerate(self._sizes):
            for rows in self._parts.read(number, size, self._carried):
                embedded = embedded_rows(rows, self._files[number])
                finite = embedded & np.isfinite(rows.embedding).all(axis=1)
                failed += int((~embedded).sum())
                count += int(embedded.sum())
                not_finite += int((embedded & ~finite).sum())
                self._check_texts(rows, self._files[number])
                yield self._batch(rows, finite)
        if failed != self.failed:
            raise RunError(
                f"{self.folder}: {failed} rows have an error, but {MANIFEST} says {self.failed}; embed again."
            )
        if count != self.rows:
            raise RunError(f"{self.folder}: has {count} embeddings, expected {self.rows}; embed again.")
        self.not_finite = not_finite

    def _check_texts(self, rows: PartRows, part: Path) -> None:
        """Raise `RunError` if a dictionary repeats a long text, which is about to be written out."""
        for name in TEXTS:
            column = rows.table[name]
            if pa.types.is_dictionary(column.type) and (size := text_bytes(column)) > TEXT_BYTES * len(column) + SLACK:
                raise RunError(
                    f"{part}: column {name!r} has {size:,} bytes of text, too much for {len(column):,} rows; embed "
                    "again."
                )

    def _batch(self, rows: PartRows, good: NDArray[np.bool_]) -> EmbeddedBatch:
        columns = {name: rows.table[name].cast(pa.string()) for name in TEXTS}
        if not good.all():
            columns = {name: column.filter(pa.array(good)) for name, column in columns.items()}
        for name in self._carried.names:
            if name in rows.table.column_names:  # failed rows of `--format npy` carry nothing
                columns[name] = rows.table[name] if good.all() else rows.table[name].filter(pa.array(good))
            else:
                columns[name] = pa.chunked_array([], self._carried.field(name).type)
        table = pa.table(columns, schema=self.schema)
        return EmbeddedBatch(table, rows.embedding if good.all() else rows.embedding[good])


def _joined(batches: list[EmbeddedBatch]) -> EmbeddedBatch:
    if len(batches) == 1:
        return batches[0]
    return EmbeddedBatch(
        pa.concat_tables([batch.table for batch in batches]), np.concatenate([batch.embedding for batch in batches])
    )


def _split(batch: EmbeddedBatch, rows: int) -> tuple[EmbeddedBatch, EmbeddedBatch]:
    first = EmbeddedBatch(batch.table.slice(0, rows), batch.embedding[:rows])
    return first, EmbeddedBatch(batch.table.slice(rows), batch.embedding[rows:])


def _text(fields: object, name: str) -> str | None:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, str) else None
