"""Parts as clip-retrieval lays them out: rows of numbers in ``img_emb``, what they are of in ``metadata``.

autofaiss and embedding-reader take such a folder as it is. A row of numbers cannot be missing: images without an
embedding are in neither, and listed with their errors in ``failed``.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file
from serve_cli.embeddings.arrow_table import carried_column
from serve_cli.embeddings.checked_parquet import CheckedParquet
from serve_cli.embeddings.layout import npy_part_name, schema
from serve_cli.embeddings.npy_file import open_numbers
from serve_cli.embeddings.parts import Part
from serve_cli.embeddings.vectors import DTYPES, to_stored
from serve_cli.sources import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard
    from serve_cli.sources.image_row import EmbeddedRows, ImageRow

NAME = re.compile(r"(img_emb_\d{5,}\.npy|(metadata|failed)_\d{5,}\.parquet)")
FAILED = pa.schema([pa.field("id", pa.string()), pa.field("image_path", pa.string()), pa.field("error", pa.string())])


def npy_paths(folder: Path, number: int) -> tuple[Path, Path, Path]:
    """A part's numbers, what they are of, and its failures."""
    return (
        folder / npy_part_name(number),
        folder / "metadata" / f"metadata_{number:05d}.parquet",
        folder / "failed" / f"failed_{number:05d}.parquet",
    )


def metadata_columns(dtype: str) -> list[pa.Field]:
    """The first columns of the files in ``metadata``."""
    scale = [pa.field("scale", pa.float32())] if dtype == "int8" else []
    return [
        pa.field("id", pa.string()),
        pa.field("image_path", pa.string()),
        pa.field("label", pa.string()),
        *scale,
    ]


class NpyParts:
    """See `serve_cli.embeddings.parts.Parts`."""

    def __init__(self, folder: Path, card: ModelCard, dtype: str, extra: pa.Schema | None) -> None:
        self._folder, self._dim, self._dtype = folder, card.dim, dtype
        own = metadata_columns(dtype)
        self._schema = schema(own, extra, card)
        self._extra = self._schema.names[len(own) :]

    def files(self) -> list[Path]:
        names = (self._folder / name for name in ("img_emb", "metadata", "failed"))
        return sorted(
            path for place in names if place.is_dir() for path in place.iterdir() if NAME.fullmatch(path.name)
        )

    def write(self, number: int, groups: Iterable[EmbeddedRows], claim: Callable[[], None]) -> Part:
        paths = npy_paths(self._folder, number)
        for path in paths:
            path.parent.mkdir(exist_ok=True)
        numbers, metadata, failures = paths
        with replaced_file(numbers) as first, replaced_file(metadata) as second, replaced_file(failures) as third:
            good, failed = self._fill(groups, first, second, third)
            claim()
        # From the last to the first they are in place now: a part counts when its numbers are there.
        return Part(f"img_emb/{numbers.name}", good + failed, failed)

    def read(self, number: int) -> Part | None:
        numbers, metadata, failures = npy_paths(self._folder, number)
        try:
            found = open_numbers(numbers)
            good = CheckedParquet(metadata, metadata_columns(self._dtype)).count()
            failed = CheckedParquet(failures, list(FAILED)).count()
        except (RunError, OSError, ValueError):
            return None
        whole = found.shape == (good, self._dim) and found.dtype == DTYPES[self._dtype]
        return Part(f"img_emb/{numbers.name}", good + failed, failed) if whole else None

    def _fill(self, groups: Iterable[EmbeddedRows], numbers: Path, metadata: Path, failures: Path) -> tuple[int, int]:
        """Returns the rows with an embedding, and those without."""
        good = failed = 0
        with (
            numbers.open("wb") as file,
            pq.ParquetWriter(metadata, self._schema, compression="zstd", write_page_checksum=True) as known,
            pq.ParquetWriter(failures, FAILED, compression="zstd", write_page_checksum=True) as missing,
        ):
            file.write(self._header(0))  # of the same length whatever the number of rows is
            for group in groups:
                kept = np.array([error is None for error in group.errors], bool)
                stored, scale = to_stored(group.embedding[kept], self._dtype)
                np.ascontiguousarray(stored).tofile(file)
                known.write_table(self._table([group.rows[number] for number in np.flatnonzero(kept)], scale))
                missing.write_table(_failures(group, ~kept))
                good, failed = good + int(kept.sum()), failed + int((~kept).sum())
            file.seek(0)
            file.write(self._header(good))
        return good, failed

    def _table(self, rows: list[ImageRow], scale: NDArray[np.float32] | None) -> pa.Table:
        columns: dict[str, Any] = {
            "id": [row.id for row in rows],
            "image_path": [as_text(row.path) for row in rows],
            "label": [row.label for row in rows],
            "scale": scale,
            **{name: carried_column(rows, self._schema.field(name)) for name in self._extra},
        }
        return pa.table({name: columns[name] for name in self._schema.names}, schema=self._schema)

    def _header(self, rows: int) -> bytes:
        """Of NumPy's format. NumPy leaves room for the number of rows to grow, so that it can be written again."""
        text = io.BytesIO()
        write: Any = np.lib.format.write_array_header_1_0  # which has no types
        kind = np.dtype(DTYPES[self._dtype]).newbyteorder("<").str
        write(text, {"descr": kind, "fortran_order": False, "shape": (rows, self._dim)})
        return text.getvalue()


def _failures(group: EmbeddedRows, failed: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Table:
    chosen = [(group.rows[number], group.errors[number]) for number in np.flatnonzero(failed)]
    values = [[row.id for row, _ in chosen], [as_text(row.path) for row, _ in chosen], [error for _, error in chosen]]
    return pa.Table.from_arrays([pa.array(one, pa.string()) for one in values], schema=FAILED)
