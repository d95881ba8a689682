"""Write a segment's vectors and rows, batch by batch."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gluon_lifted.errors import DataError
from gluon_lifted.files import sync
from serve_cli.embeddings.vectors import to_unit_norm
from serve_cli.retrieval.index.layout import ROWS, VECTORS

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard
    from serve_cli.embeddings.stream import EmbeddedBatch


class SegmentWriter:
    """Writes ``vectors.npy`` and ``rows.arrow`` into a new folder.

    Use it as a context manager. The files are complete and synced once it has closed without an error.

    Parameters
    ----------
    folder : Path
        An empty folder that becomes the segment.
    card : ModelCard
        Gives dimension and distance. Cosine stores unit norms.
    schema : Schema
        Columns of the batches.
    dtype : {"float32", "float16"}
        Type in which vectors are stored.
    """

    def __init__(self, folder: Path, card: ModelCard, schema: pa.Schema, dtype: str = "float32") -> None:
        self._folder, self._card, self._schema = folder, card, schema
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._stack = ExitStack()
        self.rows = 0

    def __enter__(self) -> SegmentWriter:
        self._vectors = self._stack.enter_context((self._folder / VECTORS).open("wb"))
        self._rows = self._stack.enter_context(pa.ipc.new_file(str(self._folder / ROWS), self._schema))
        self._vectors.write(self._header())  # its length does not depend on the number of rows
        return self

    def write(self, batch: EmbeddedBatch) -> NDArray[np.float32]:
        """Append a batch and return its vectors as stored, (n, D). Raises `DataError` if float16 cannot hold them."""
        vectors = to_unit_norm(batch.embedding) if self._card.distance == "cosine" else batch.embedding
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(vectors, self._dtype)
        if not np.isfinite(stored).all():
            raise DataError(f"an embedding exceeds the range of {self._dtype.name}; embed with --dtype float32.")
        stored.tofile(self._vectors)
        self._rows.write_table(batch.table)
        self.rows += len(batch.table)
        return stored.astype(np.float32, copy=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._vectors.seek(0)
            self._vectors.write(self._header())
        self._stack.close()
        if kind is None:
            sync(self._folder / VECTORS)
            sync(self._folder / ROWS)

    def _header(self) -> bytes:
        """Return a header in NumPy's format, which is padded so that it can be rewritten with more rows."""
        text = io.BytesIO()
        write: Any = np.lib.format.write_array_header_1_0  # it has no type annotations
        write(text, {"descr": self._dtype.str, "fortran_order": False, "shape": (self.rows, self._card.dim)})
        return text.getvalue()
