"""Sources of `lifted eval` -> embeddings with labels."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.datasets import load_dataset
from gluon_lifted.errors import ConfigError, DataError, RunError
from serve_cli.embed.decoding import Decoding
from serve_cli.embed.embed_rows import collect, embed_rows, reported
from serve_cli.embed.stage_times import StageTimes
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.progress import open_progress
from serve_cli.sources.resolve import dataset_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard
    from serve_cli.evaluate.eval_options import Images


log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Labeled:
    """Images with labels and embeddings.

    Parameters
    ----------
    name : str
        Of the file or folder they come from.
    card : ModelCard
        Of the model that made them.
    ids, paths, labels : ndarray of object, all str, (N,)
    embedding : ndarray, float32, (N, D)
        NaN in rows that are not ``embedded``.
    embedded : ndarray, bool, (N,)
        Whether a row has an embedding.
    """

    name: str
    card: ModelCard
    ids: NDArray[Any]
    paths: NDArray[Any]
    labels: NDArray[Any]
    embedding: NDArray[np.float32]
    embedded: NDArray[np.bool_]

    def only(self, rows: NDArray[np.bool_]) -> Labeled:
        """Some of the rows; no copy where that is all of them."""
        if rows.all():
            return self
        texts = [column[rows] for column in (self.ids, self.paths, self.labels)]
        return Labeled(self.name, self.card, texts[0], texts[1], texts[2], self.embedding[rows], self.embedded[rows])


def read_labeled(source: Path, images: Images) -> Labeled:
    """A folder of embeddings, or a model's embeddings of a data set's test images. Progress goes to stderr.

    Raises
    ------
    DataError
        If images have no labels, or the data set is not there.
    RunError, DeviceError
        If the embeddings or the model cannot be used.
    ConfigError
        If a model comes without a data set.
    """
    if not source.exists():
        raise RunError(f"{source}: no such embedding folder or model.")
    return labeled_folder(source) if source.is_dir() else _embedded_now(source, images)


def labeled_folder(folder: Path) -> Labeled:
    """What `lifted embed` wrote. Raises `RunError`, or `DataError` if images have no labels."""
    found = read_embeddings(folder)
    unknown = sum(label is None and error is None for label, error in zip(found.labels, found.errors, strict=True))
    if unknown:
        raise DataError(
            f"{folder}: {unknown} of {len(found.labels)} images have no label. Put every image into "
            "a sub-folder named after its class, and embed again."
        )
    names = (folder.name, found.card, found.ids, found.paths, found.labels)
    return _labeled(*names, found.embedding, found.errors)


def _embedded_now(model: Path, images: Images) -> Labeled:
    if images.dataset is None or images.data is None:
        raise ConfigError(
            f"{model} is a model: name the images to evaluate it on with --dataset and --data, "
            "or give a folder that `lifted embed` wrote."
        )
    embedder = images.serving.open(model)
    splits = load_dataset(images.dataset, images.data, images.use_boxes)
    if splits.note:
        log.info("%s: %s", model.name, splits.note)
    source = dataset_source(splits.test, images.data)
    with open_progress("embed", total=source.count()) as progress:
        batch_size = images.serving.batch_size or embedder.batch_size
        times = StageTimes()
        batches = embed_rows(embedder, source, batch_size, Decoding(images.serving.decoders), times)
        found = collect(reported(batches, progress, times), embedder.card.dim)
    ids, paths, labels = ([getattr(row, name) for row in found.rows] for name in ("id", "path", "label"))
    return _labeled(model.name, embedder.card, ids, paths, labels, found.embedding, found.errors)


def _labeled(
    name: str,
    card: ModelCard,
    ids: Sequence[str],
    paths: Sequence[str | Path],
    labels: Sequence[str | None],
    embedding: NDArray[np.float32],
    errors: Sequence[str | None],
) -> Labeled:
    embedded = np.array([error is None for error in errors], bool)
    if not embedded.all():
        first = next(error for error in errors if error is not None)
        failed = f"{np.count_nonzero(~embedded):,} of {len(errors):,}"
        log.warning("%s: %s images have no embedding, the first: %s", name, failed, first)
    named = ["" if label is None else label for label in labels]  # only images that failed have none
    # Objects: NumPy's own strings lose zeros at their end, and each takes as much as the longest
    texts = [np.array([str(value) for value in values], object) for values in (ids, paths, named)]
    return Labeled(name, card, texts[0], texts[1], texts[2], embedding, embedded)


def comparable(found: list[Labeled], sources: Sequence[Path]) -> tuple[list[Labeled], bool]:
    """Leave out rows without an embedding; say whether all sources are of the same images.

    Of the same images those count that all sources have embedded, so that every source meets the same task. Names
    become paths where they are not different.
    """
    if len({one.name for one in found}) < len(found):
        found = [replace(one, name=str(source)) for one, source in zip(found, sources, strict=True)]
    first = found[0]
    same = all(np.array_equal(one.ids, first.ids) and np.array_equal(one.labels, first.labels) for one in found)
    if same:
        everywhere = np.logical_and.reduce([one.embedded for one in found])
        return [one.only(everywhere) for one in found], True
    return [one.only(one.embedded) for one in found], False
