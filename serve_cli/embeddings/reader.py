"""Check that an embedding folder is complete, and read its rows into memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from gluon_lifted.errors import RunError
from gluon_lifted.hardware.memory import usable_memory
from serve_cli.embeddings.checked_parquet import texts
from serve_cli.embeddings.embedding_manifest import manifest_card, read_manifest
from serve_cli.embeddings.fixed_lists import without_sizes
from serve_cli.embeddings.part_columns import MANIFEST
from serve_cli.embeddings.part_formats import FORMATS

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Any

    import pyarrow as pa
    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard
    from serve_cli.embeddings.parts import PartRows

NO_LABEL = -1  # class id of an image without a label


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings in memory, with the labels of their images.

    Parameters
    ----------
    name : str
        Name of the folder or model they come from.
    card : ModelCard
        Card of the model that computed them.
    ids, paths : tuple of str, (N,)
        Ids of the images, and the files they were read from; see `ImageRow`.
    labels : ndarray, int64, (N,)
        Class ids, indices into ``class_names``, or `NO_LABEL` for an image without a label.
    class_names : tuple of str, (C,)
        Sorted. Every class has at least one image.
    embedding : ndarray, float32, (N, D)
        NaN in rows that have an error, finite in all others.
    errors : tuple of str or None, (N,)
        Why a row has no embedding.
    """

    name: str
    card: ModelCard
    ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    embedding: NDArray[np.float32]
    errors: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def embedded(self) -> NDArray[np.bool_]:
        """Whether each row has an embedding, (N,)."""
        return np.array([error is None for error in self.errors], bool)

    @property
    def failed(self) -> int:
        """Rows without an embedding."""
        return len(self.errors) - self.errors.count(None)

    @property
    def label_names(self) -> tuple[str | None, ...]:
        """The name of each row's class, (N,), or None for an image without a label."""
        return tuple(None if label == NO_LABEL else self.class_names[label] for label in self.labels.tolist())

    def class_name(self, row: int) -> str:
        """Return the name of a labeled row's class."""
        return self.class_names[int(self.labels[row])]

    def images_per_class(self) -> NDArray[np.int64]:
        """Count the labeled rows of each class, (C,)."""
        labeled = self.labels[self.labels != NO_LABEL]
        return np.bincount(labeled, minlength=len(self.class_names)).astype(np.int64)

    def labels_in(self, class_names: Sequence[str]) -> NDArray[np.int64]:
        """Convert labels to indices into other class names, (N,). Each class not among them gets a new id."""
        class_ids = {name: class_id for class_id, name in enumerate(class_names)}
        for name in self.class_names:
            class_ids.setdefault(name, len(class_ids))
        translation = np.array([class_ids[name] for name in self.class_names] + [NO_LABEL], np.int64)
        return translation[self.labels]  # NO_LABEL is -1, the last entry

    def only(self, rows: NDArray[np.bool_]) -> Embeddings:
        """Select rows and their classes. Returns ``self`` if all are selected."""
        if rows.all():
            return self
        labels, class_names = encode_labels(tuple(compress(self.label_names, rows)))
        return replace(
            self,
            ids=tuple(compress(self.ids, rows)),
            paths=tuple(compress(self.paths, rows)),
            labels=labels,
            class_names=class_names,
            embedding=self.embedding[rows],
            errors=tuple(compress(self.errors, rows)),
        )


def encode_labels(names: Sequence[str | None]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Convert label names, (N,), to class ids, int64, (N,), and sorted class names, (C,). None becomes `NO_LABEL`.

    Examples
    --------
    >>> encode_labels(["dog", None, "cat", "dog"])
    (array([ 1, -1,  0,  1]), ('cat', 'dog'))
    """
    class_names = tuple(sorted({name for name in names if name is not None}))
    class_ids: dict[str | None, int] = {name: class_id for class_id, name in enumerate(class_names)}
    class_ids[None] = NO_LABEL
    return np.fromiter((class_ids[name] for name in names), np.int64, len(names)), class_names


def read_embeddings(folder: str | os.PathLike[str]) -> Embeddings:
    """Read an embedding folder that `lifted embed` wrote, with any version of pyarrow.

    Nothing in the folder is trusted: the sizes in the files are compared with each other and with the host's memory
    before memory is allocated.

    Parameters
    ----------
    folder : path
        A finished embedding folder, in any format.

    Raises
    ------
    RunError
        If the folder is missing or not finished, a part is missing, damaged or does not match the manifest, an
        embedding is not finite, or the embeddings do not fit into memory.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    card = manifest_card(folder, manifest)
    _, open_reader = FORMATS[manifest["format"]].load()
    parts = open_reader(folder, card, manifest["dtype"])
    sizes = [part["rows"] for part in manifest["parts"]]
    parts.check_files(len(sizes))
    for number, size in enumerate(sizes):
        parts.check(number, size)
    embedding = _room(folder, sum(sizes), card.dim)  # filled part by part: never twice in memory
    columns: tuple[list[Any], ...] = ([], [], [], [])
    done = 0
    for number, size in enumerate(sizes):
        for rows in parts.read(number, size):
            _require_finite(rows, folder / manifest["parts"][number]["file"])
            embedding[done : done + len(rows.table)] = rows.embedding
            done += len(rows.table)
            for column, name in zip(columns, ("id", "path", "label", "error"), strict=True):
                column.extend(texts(rows.table[name]))
    ids, paths, names, errors = (tuple(column) for column in columns)
    if (failed := len(errors) - errors.count(None)) != manifest["failed"]:
        raise RunError(f"{folder}: {failed} rows have an error, but {MANIFEST} says {manifest['failed']}; embed again.")
    labels, class_names = encode_labels(names)
    return Embeddings(
        name=folder.name,
        card=card,
        ids=ids,
        paths=paths,
        labels=labels,
        class_names=class_names,
        embedding=embedding,
        errors=errors,
    )


def _room(folder: Path, rows: int, dim: int) -> NDArray[np.float32]:
    needed, usable = 4 * rows * dim, usable_memory()
    try:
        if needed > usable:
            raise MemoryError
        return np.empty((rows, dim), np.float32)
    except MemoryError:
        raise RunError(
            f"{folder}: {rows:,} embeddings of {dim:,} numbers need {needed / 1e9:,.1f} GB of memory, but "
            f"only {usable / 1e9:,.1f} GB may be used; read its part files one by one, or use a host with more memory."
        ) from None


def embedded_rows(rows: PartRows, part: Path) -> NDArray[np.bool_]:
    """Return whether each row has an embedding and no error, (n,). Raise `RunError` for one without id or path."""
    if rows.table["id"].null_count or rows.table["path"].null_count:
        raise RunError(f"{part}: has a row without an id or a path; embed again.")
    return np.asarray(rows.table["error"].is_null())


def _require_finite(rows: PartRows, part: Path) -> None:
    """Raise `RunError` unless all rows have either a finite embedding or an error."""
    bad = np.flatnonzero(embedded_rows(rows, part) & ~np.isfinite(rows.embedding).all(axis=1))
    if len(bad):
        raise RunError(
            f"{part}: the embedding of {rows.table['id'][int(bad[0])].as_py()!r:.200} has NaN or infinity, and its row "
            f"has no error ({len(bad)} such rows); embed again."
        )


def read_table(path: Path, names: list[str] | None = None) -> pa.Table:
    """Read columns of a part file with fixed-size lists as plain lists, which any version of pyarrow can read."""
    with (
        path.open("rb") as file,
        pq.ParquetFile(file, metadata=without_sizes(pq.read_metadata(file)), pre_buffer=False) as part,
    ):
        return part.read(names)
