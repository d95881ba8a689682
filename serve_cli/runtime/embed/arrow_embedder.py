"""Arrow batches of images -> Arrow batches of embeddings, for engines that bring their own rows, such as Spark."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gluon_lifted.errors import ConfigError
from serve_cli.runtime.inference.serving import Serving
from serve_cli.runtime.pipeline.decoding import Decoding
from serve_cli.runtime.pipeline.pipeline import embed_rows
from serve_cli.runtime.rows import ImageRow, regroup
from serve_cli.runtime.sources.manifest import Columns
from serve_cli.runtime.sources.place import held_bytes, image_at, location
from serve_cli.runtime.storage.arrow_table import to_table
from serve_cli.runtime.storage.layout import own_columns, schema
from serve_cli.runtime.storage.vectors import fitting

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from serve_cli.runtime.inference.session import Embedder

GROUP_ROWS = 256  # of a batch that is given out


class ArrowEmbedder:
    """Turns record batches with images into record batches with embeddings: a row for each row, in order.

    It can be pickled; a process opens the model once. `__call__` is what Spark's ``DataFrame.mapInArrow`` takes.

    Parameters
    ----------
    model : path
        An exported model, on every machine at the same place.
    columns : Columns
        Names of the incoming columns: ``bytes`` holds images, or ``path`` where they lie.
    serving : Serving
        By default one thread, which is what a task of Spark's has.
    carried : Schema, optional
        Incoming columns that are given out again.
    dtype : str
        Of the numbers; see `serve_cli.runtime.embed.options.Output`.

    Attributes
    ----------
    schema : Schema
        Of the batches given out. Embeddings are lists of any size, as Spark has them.

    Raises
    ------
    ConfigError
        If a batch has neither of the columns.
    RunError, DeviceError
        As `Embedder`.

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
        serving: Serving = Serving(threads=1),
        carried: pa.Schema | None = None,
        dtype: str = "float32",
    ) -> None:
        self._model, self._columns, self._serving, self._dtype = Path(model).absolute(), columns, serving, dtype
        card = _opened(self._model, serving).card
        found = schema(own_columns(card.dim, dtype), carried, card)
        number = found.get_field_index("embedding")
        plain = pa.field("embedding", pa.list_(found.field(number).type.value_field))
        self.schema: pa.Schema = found.set(number, plain)
        self._carried = carried.names if carried is not None else []

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Embed batches as they come."""
        embedder = _opened(self._model, self._serving)
        size, decoding = self._serving.batch_size or embedder.batch_size, Decoding(self._serving.decoders)
        found = fitting(embed_rows(embedder, self._rows(batches), size, decoding), self._dtype)
        for group in regroup(found, GROUP_ROWS):
            yield from to_table(group, self.schema, self._dtype).to_batches()

    def _rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[ImageRow]:
        number = 0
        for batch in batches:
            if not {self._columns.bytes, self._columns.path} & set(batch.schema.names):
                raise ConfigError(
                    f"the rows have neither a column {self._columns.bytes!r} nor {self._columns.path!r}; found "
                    f"{batch.schema.names}."
                )
            for row in batch.to_pylist():
                yield self._row(row, number)
                number += 1

    def _row(self, row: dict[str, Any], number: int) -> ImageRow:
        content, path, label = (
            row.get(name) for name in (self._columns.bytes, self._columns.path, self._columns.label)
        )
        given = row.get(self._columns.id)
        name = str(given if given is not None else number if path is None else path)
        label = None if label is None else str(label)
        extra = {column: row[column] for column in self._carried}
        if content is None and path is not None:
            return image_at(name, location(path), label, extra)
        return ImageRow(name, path or "", label, content=partial(held_bytes, content, f"row {name}"), extra=extra)


@lru_cache(maxsize=2)
def _opened(model: Path, serving: Serving) -> Embedder:
    return serving.open(model)
