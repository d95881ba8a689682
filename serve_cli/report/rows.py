"""The labeled rows that a report is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError, RunError
from serve_cli.evaluate.load import labeled_folder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard


@dataclass(frozen=True, eq=False)
class Rows:
    """Images with an embedding and a label.

    Parameters
    ----------
    card : ModelCard
        Of the model that made the embeddings.
    ids, paths : tuple of str, (N,)
    classes : ndarray, int64, (N,)
        Class of each row, an index into ``names``.
    names : tuple of str
        Names of the classes, sorted.
    embedding : ndarray, float32, (N, D)
        Finite.
    failed : int
        Rows left out because they have no embedding.
    """

    card: ModelCard
    ids: tuple[str, ...]
    paths: tuple[str, ...]
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    embedding: NDArray[np.float32]
    failed: int

    def __len__(self) -> int:
        return len(self.ids)

    def name_of(self, row: int) -> str:
        """The name of a row's class."""
        return self.names[int(self.classes[row])]

    def images_per_class(self) -> NDArray[np.int64]:
        return np.bincount(self.classes, minlength=len(self.names)).astype(np.int64)


def read_rows(folder: Path) -> Rows:
    """Read the rows that can be compared from what `lifted embed` wrote.

    Raises
    ------
    RunError
        If the folder is not there, not finished or damaged.
    DataError
        If images have no label, or fewer than two have an embedding.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder of embeddings; make it with `lifted embed`.")
    whole = labeled_folder(folder)
    found = whole.only(whole.embedded)
    if len(found.labels) < 2:
        raise DataError(f"{folder}: a report needs at least 2 images with an embedding, found {len(found.labels)}.")
    names, classes = np.unique(found.labels, return_inverse=True)
    return Rows(
        found.card,
        tuple(found.ids.tolist()),
        tuple(found.paths.tolist()),
        classes.astype(np.int64),
        tuple(names.tolist()),
        found.embedding,
        int((~whole.embedded).sum()),
    )
