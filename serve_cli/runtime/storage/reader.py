"""An embedding folder -> its rows in memory, after checking that the folder is complete."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gluon_lifted.card import CARD_KEY, ModelCard
from gluon_lifted.errors import RunError
from serve_cli.runtime.storage.fixed_lists import without_sizes
from serve_cli.runtime.storage.layout import MANIFEST, MANIFEST_VERSION, own_columns, part_files, part_name
from serve_cli.runtime.storage.npy_reader import read_npy_part
from serve_cli.runtime.storage.vectors import DTYPES, from_stored

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def read_embeddings(folder: str | os.PathLike[str]) -> Embeddings:
    """Read what `lifted embed` wrote, with any version of pyarrow.

    Parameters
    ----------
    folder : path
        With its manifest; of either format.

    Raises
    ------
    RunError
        If the folder is missing or not finished, or a part is missing, damaged or does not fit the manifest.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    card = ModelCard.from_json(json.dumps(manifest["card"]), str(folder / MANIFEST))
    embedding = np.empty((manifest["rows"], card.dim), np.float32)  # filled part by part: never twice in memory
    tables, done = [], 0
    for table, rows in _parts(folder, manifest, card):
        if done + len(rows) > len(embedding):
            break
        tables.append(table)
        embedding[done : done + len(rows)] = rows
        done += len(rows)
    if done != len(embedding):
        raise RunError(f"{folder}: its parts have not the {len(embedding)} rows that {MANIFEST} says; embed again.")
    columns = pa.concat_tables(tables)
    ids, paths, labels, errors = (tuple(columns[name].to_pylist()) for name in ("id", "path", "label", "error"))
    return Embeddings(card, ids, paths, labels, embedding, errors)


def _parts(folder: Path, manifest: dict[str, Any], card: ModelCard) -> Iterator[tuple[pa.Table, NDArray[np.float32]]]:
    """Text columns and embeddings, part by part."""
    dtype, parts = manifest["dtype"], manifest["parts"]
    if manifest.get("format", "parquet") == "npy":
        yield from (read_npy_part(folder, number, card.dim, dtype) for number in range(len(parts)))
        return
    _check_parts(folder, [part["file"] for part in parts])
    own = own_columns(card.dim, dtype)
    yield from (_read_part(folder / part["file"], part["rows"], card, own) for part in parts)


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
        if manifest["dtype"] not in DTYPES:
            raise ValueError(f"numbers of type {manifest['dtype']!r:.40}")
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


def _read_part(path: Path, rows: int, card: ModelCard, own: list[pa.Field]) -> tuple[pa.Table, NDArray[np.float32]]:
    """The text columns and the embeddings of one part file."""
    try:
        with path.open("rb") as file:
            metadata = pq.read_metadata(file)
            columns = metadata.schema.to_arrow_schema()
            if metadata.num_rows != rows:
                raise RunError(f"{path}: has {metadata.num_rows} rows and {MANIFEST} says {rows}; embed again.")
            if list(columns)[: len(own)] != own:
                raise RunError(f"{path}: its columns are not those that `lifted embed` writes; embed again.")
            if (columns.metadata or {}).get(CARD_KEY.encode()) != card.to_json().encode():
                raise RunError(f"{path}: is of another model than {MANIFEST} says; embed again.")
            table = read_table(path, [one.name for one in own])
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path}: cannot be read ({error!s:.200}); embed again.") from None
    return table.drop_columns("embedding"), _matrix(table, card.dim, path)


def read_table(path: Path, names: list[str] | None = None) -> pa.Table:
    """Columns of a part file; its fixed-size lists are lists, which any version of pyarrow can read."""
    with path.open("rb") as file, pq.ParquetFile(file, metadata=without_sizes(pq.read_metadata(file))) as part:
        return part.read(names)


def _matrix(table: pa.Table, dim: int, path: Path) -> NDArray[np.float32]:
    """The lists of column ``embedding`` as (n, D); NaN for null, which is where column ``error`` is not null."""
    lists = table["embedding"].combine_chunks()
    valid = np.asarray(lists.is_valid())
    lengths = np.asarray(pc.list_value_length(lists.drop_null()))
    if (lengths != dim).any() or (valid != np.asarray(table["error"].is_null())).any():
        raise RunError(f"{path}: has embeddings that are not {dim} numbers, or null without an error; embed again.")
    rows = np.full((len(lists), dim), np.nan, np.float32)
    scale = np.asarray(table["scale"].drop_null()) if "scale" in table.column_names else None
    if scale is not None and len(scale) != valid.sum():
        raise RunError(f"{path}: has embeddings without a scale; embed again.")
    rows[valid] = from_stored(np.asarray(lists.flatten()).reshape(-1, dim), scale)
    return rows
