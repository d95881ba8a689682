"""A part in clip-retrieval's layout -> its rows in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.errors import RunError
from serve_cli.runtime.storage.npy_parts import npy_paths
from serve_cli.runtime.storage.vectors import DTYPES, from_stored

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_npy_part(folder: Path, number: int, dim: int, dtype: str) -> tuple[pa.Table, NDArray[np.float32]]:
    """Columns ``id``, ``path``, ``label`` and ``error``, and the embeddings, float32, (n, D).

    Images without an embedding come last, with NaN, their error and no label, which this layout does not keep.

    Raises
    ------
    RunError
        If a file of the part is missing or damaged, or they do not fit together.
    """
    numbers, metadata, failures = npy_paths(folder, number)
    try:
        stored = np.load(numbers, mmap_mode="r", allow_pickle=False)
        known, failed = pq.read_table(metadata), pq.read_table(failures)
        good = pa.table({"id": known["id"], "path": known["image_path"], "label": known["label"]})
        bad = pa.table({"id": failed["id"], "path": failed["image_path"], "error": failed["error"]})
        scale = np.asarray(known["scale"]) if dtype == "int8" else None
    except (OSError, ValueError, EOFError, KeyError, pa.ArrowException) as error:
        raise RunError(f"{numbers}: cannot be read with its metadata ({error!s:.200}); embed again.") from None
    if stored.shape != (len(good), dim) or stored.dtype != DTYPES[dtype]:
        raise RunError(f"{numbers}: holds {stored.shape} of {stored.dtype}, expected ({len(good)}, {dim}) of {dtype}.")
    rows = np.full((len(good) + len(bad), dim), np.nan, np.float32)
    rows[: len(good)] = from_stored(stored, scale)
    return pa.concat_tables([good, bad], promote_options="default"), rows
