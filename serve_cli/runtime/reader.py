"""An embedding folder -> its rows in memory, after checking that the folder is complete."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gluon_lifted.card import CARD_KEY, ModelCard
from gluon_lifted.errors import RunError
from serve_cli.runtime.layout import MANIFEST, MANIFEST_VERSION, OWN, part_files, part_name, schema

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_MANIFEST_BYTES = 64 << 20  # half a million parts


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The rows of an embedding folder.

    Parameters
    ----------
    card : ModelCard
        Of the model that made them.
    ids, paths : tuple of str, (N,)
        Path relative to the source's root; the file that was read.
    labels : tuple of str or None, (N,)
    embedding : ndarray, float32, (N, D)
        NaN in rows that have an error.
    errors : tuple of str or None, (N,)
        Why a row has no embedding.
    """

    card: ModelCard
    ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[str | None, ...]
    embedding: NDArray[np.float32]
    errors: tuple[str | None, ...]


def read_embeddings(folder: Path) -> Embeddings:
    """Read what `lifted embed` wrote.

    Raises
    ------
    RunError
        If the folder is missing or not finished, or a part is missing, damaged or does not fit the manifest.
    """
    manifest = read_manifest(folder)
    if manifest.get("format", "parquet") != "parquet":
        raise RunError(f"{folder}: holds embeddings as {manifest['format']}; give a folder of parquet parts.")
    where = str(folder / MANIFEST)
    card = ModelCard.from_json(json.dumps(manifest["card"]), where)
    names = [part["file"] for part in manifest["parts"]]
    _check_parts(folder, names)
    parts = [_read_part(folder / part["file"], part["rows"], card) for part in manifest["parts"]]
    table = pa.concat_tables(table for table, _ in parts)
    ids, paths, labels, errors = (tuple(table[name].to_pylist()) for name in ("id", "path", "label", "error"))
    return Embeddings(card, ids, paths, labels, np.concatenate([rows for _, rows in parts]), errors)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished embedding folder, its own fields checked. Raises `RunError`."""
    path = folder / MANIFEST
    if not path.is_file():
        state = "its run did not finish" if part_files(folder) else "no embeddings there"
        raise RunError(f"{folder}: has no {MANIFEST}, {state}; make the folder with `lifted embed`.")
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ValueError(f"more than {MAX_MANIFEST_BYTES} bytes")
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest["manifest_version"] != MANIFEST_VERSION:
            raise ValueError(f"version {manifest['manifest_version']!r} is not {MANIFEST_VERSION}")
        parts = [(part["file"], int(part["rows"])) for part in manifest["parts"]]
        named = manifest.get("format", "parquet") != "parquet" or [name for name, _ in parts] == [
            part_name(number) for number in range(len(parts))
        ]
        if not named:
            raise ValueError("its parts are not numbered from 0")
        if manifest["rows"] != sum(rows for _, rows in parts):
            raise ValueError("its parts do not add up to its rows")
        if not isinstance(manifest["card"], dict) or not isinstance(manifest["failed"], int):
            raise ValueError("its card or its count of failed rows is not there")
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: is damaged ({error!r:.200}); embed again with --overwrite.") from None
    return manifest


def _check_parts(folder: Path, names: list[str]) -> None:
    found = {path.name for path in part_files(folder)}
    missing, extra = sorted(set(names) - found), sorted(found - set(names))
    if missing or extra:
        what = f"{missing[0]} is missing" if missing else f"{extra[0]} is not in {MANIFEST}"
        raise RunError(f"{folder}: {what} ({len(names)} parts expected, {len(found)} found); embed again.")


def _read_part(path: Path, rows: int, card: ModelCard) -> tuple[pa.Table, NDArray[np.float32]]:
    """The text columns and the embeddings of one part file."""
    expected = schema(card)
    try:
        with path.open("rb") as file, pq.ParquetFile(file) as part:
            found, columns = part.metadata.num_rows, part.schema_arrow
            if found != rows:
                raise RunError(f"{path}: has {found} rows and {MANIFEST} says {rows}; embed again.")
            if list(columns)[: len(OWN)] != list(OWN):
                raise RunError(f"{path}: its columns are not those that `lifted embed` writes; embed again.")
            if (columns.metadata or {}).get(CARD_KEY.encode()) != expected.metadata[CARD_KEY.encode()]:
                raise RunError(f"{path}: is of another model than {MANIFEST} says; embed again.")
            table = part.read([one.name for one in OWN])
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path}: cannot be read ({error!s:.200}); embed again.") from None
    return table.drop_columns("embedding"), _matrix(table, card.dim, path)


def _matrix(table: pa.Table, dim: int, path: Path) -> NDArray[np.float32]:
    """The lists of column ``embedding`` as (n, D); NaN for null, which is where column ``error`` is not null."""
    lists = table["embedding"].combine_chunks()
    valid = np.asarray(lists.is_valid())
    lengths = np.asarray(pc.list_value_length(lists.drop_null()))
    if (lengths != dim).any() or (valid != np.asarray(table["error"].is_null())).any():
        raise RunError(f"{path}: has embeddings that are not {dim} numbers, or null without an error; embed again.")
    rows = np.full((len(lists), dim), np.nan, np.float32)
    rows[valid] = np.asarray(lists.flatten()).reshape(-1, dim)
    return rows
