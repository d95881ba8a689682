"""Arrow batches of images -> Arrow batches of embeddings, for engines that supply the rows, such as Spark."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gluon_lifted.errors import ConfigError, DataError, RunError
from serve_cli.embed.decoding import Decoding
from serve_cli.embed.embed_rows import embed_rows
from serve_cli.embeddings.arrow_table import to_table
from serve_cli.embeddings.part_columns import own_columns, schema
from serve_cli.embeddings.vectors import fitting
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_hash import model_sha256
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.image_bytes import image_at, image_location
from serve_cli.sources.image_row import (
    Cell,
    HeldImage,
    ImageRow,
    regroup,
)
from serve_cli.sources.source import as_text
from serve_cli.sources.tables.columns import Columns, image_columns, image_of, text_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from serve_cli.sources.tables.columns import ImageColumns

GROUP_ROWS = 256  # rows per output batch


class ArrowEmbedder:
    """Turns record batches with images into record batches with embeddings, one output row per input row, in order.

    It can be pickled. Each process opens the model once. Pass it to Spark's ``DataFrame.mapInArrow``.

    Parameters
    ----------
    model : path
        An exported model, at the same path on every host.
    columns : Columns
        Names of the input columns: ``bytes`` has the images, as binary or as Hugging Face's struct of bytes and path;
        or ``path`` has their locations.
    model_options : ModelOptions
        By default one thread, as a Spark task has.
    carried : Schema, optional
        Input columns to copy to the output.
    dtype : str
        Storage type of the embeddings; see `serve_cli.embed.embed_options.Output`.

    Attributes
    ----------
    schema : Schema
        Schema of the output batches. Embeddings are lists of variable size, since Spark has no fixed-size lists.

    Raises
    ------
    ConfigError
        If a batch lacks both columns or a carried column, or if a column's type cannot hold images, paths, ids or
        labels.
    RunError, DeviceError
        As `Embedder` does; `RunError` also if the model differs from the one the object was created with.

    Examples
    --------
    >>> embed = ArrowEmbedder("model.onnx", Columns(bytes="content"))  # doctest: +SKIP
    >>> photos = spark.read.format("binaryFile").load("photos").select("path", "content")  # doctest: +SKIP
    >>> photos.mapInArrow(embed, from_arrow_schema(embed.schema)).write.parquet("out")  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        columns: Columns = Columns(),
        model_options: ModelOptions = ModelOptions(threads=1),
        carried: pa.Schema | None = None,
        dtype: str = "float32",
    ) -> None:
        self._model, self._columns, self._dtype = Path(model).absolute(), columns, dtype
        self._model_options = model_options
        self._model_sha256 = model_sha256(self._model)
        card = _opened(self._model, self._model_sha256, model_options).card
        full = schema(own_columns(card.dim, dtype), carried, card)
        number = full.get_field_index("embedding")
        plain = pa.field("embedding", pa.list_(full.field(number).type.value_field))
        self.schema: pa.Schema = full.set(number, plain)
        self._carried = carried if carried is not None else pa.schema([])

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Embed batches one after another."""
        if model_sha256(self._model) != self._model_sha256:  # workers live long, and each host has its own file
            raise RunError(
                f"{self._model}: differs from the model that this ArrowEmbedder was created with; copy the same file "
                "to all hosts."
            )
        embedder = _opened(self._model, self._model_sha256, self._model_options)
        size, decoding = embedder.batch_size, Decoding(embedder.threads)
        embedded = fitting(embed_rows(embedder, self._rows(batches), size, decoding), self._dtype)
        for group in regroup(embedded, GROUP_ROWS):
            yield from to_table(group, self.schema, self._dtype).to_batches()

    def _rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[ImageRow]:
        number = 0
        for batch in batches:
            present = self._present(batch.schema)
            columns = {name: batch.column(name) for name in batch.schema.names if name in present.names()}
            carried = {field.name: _carried(batch, field) for field in self._carried}
            for index in range(len(batch)):
                cells = {name: Cell(column, index) for name, column in columns.items()}
                extra = {name: Cell(column, index) for name, column in carried.items()}
                yield self._row(present, cells, extra, number)
                number += 1

    def _present(self, schema: pa.Schema) -> ImageColumns:
        try:
            return image_columns("a batch of rows", self._columns, schema)
        except DataError as error:
            raise ConfigError(str(error)) from None

    @staticmethod
    def _row(present: ImageColumns, cells: dict[str, Cell], extra: dict[str, Any], number: int) -> ImageRow:
        image = image_of(cells.get(present.bytes or ""))
        path, label, row_id = (text_of(cells.get(name or "")) for name in (present.path, present.label, present.id))
        path = image.path if path is None else path
        name = as_text(row_id if row_id is not None else str(number) if path is None else path)
        label = None if label is None else as_text(label)
        if path is not None and image.content is None:
            return image_at(name, image_location(path), label, extra)
        return ImageRow(name, path or "", label, content=HeldImage(image.content, f"row {name}"), extra=extra)


def _carried(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    """Return a carried column, cast to the type in ``field``."""
    if field.name not in batch.schema.names:
        raise ConfigError(f"a batch of rows has no column {field.name!r} to carry along; found {batch.schema.names}.")
    column = batch.column(field.name)
    try:
        return column if column.type == field.type else column.cast(field.type)
    except pa.ArrowException as error:
        raise ConfigError(
            f"column {field.name!r} of the rows is {column.type} and cannot be cast to {field.type} ({error!s:.200}); "
            "change `carried`."
        ) from None


@lru_cache(maxsize=2)
def _opened(model: Path, model_hash: str, options: ModelOptions) -> Embedder:
    return Embedder(model, options)
