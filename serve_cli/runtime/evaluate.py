"""Recall of embeddings: of a folder that `lifted embed` wrote, or of a model on a data set's test images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.datasets import load_dataset
from gluon_lifted.errors import ConfigError, DataError, RunError
from gluon_lifted.metrics.baselines import pixel_thumbnails
from gluon_lifted.metrics.recall import recall_at_k
from serve_cli.console import Progress, say
from serve_cli.runtime.inference.serving import Serving
from serve_cli.runtime.pipeline.decoding import Decoding
from serve_cli.runtime.pipeline.pipeline import collect, embed_rows, reported
from serve_cli.runtime.pipeline.stages import StageTimes
from serve_cli.runtime.sources import table_source
from serve_cli.runtime.storage.reader import read_embeddings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class EvalOptions:
    """What `lifted eval` is asked for.

    ``source`` is an embedding folder, or a model; a model takes ``dataset`` (a name that `gluon_lifted.load_dataset`
    knows), ``data`` (its root), ``use_boxes`` (as in training) and ``serving``.
    """

    source: Path
    ks: tuple[int, ...] = (1, 2, 4, 8)
    dataset: str | None = None
    data: Path | None = None
    use_boxes: bool = False
    baseline: bool = False
    serving: Serving = Serving()


@dataclass(frozen=True)
class Recall:
    """Recall of one embedding: its name, its width D, k -> recall in [0, 1]."""

    name: str
    dim: int
    recall: dict[int, float]


@dataclass(frozen=True)
class EvalReport:
    """Recall at k, with every image a query and all others its gallery.

    Parameters
    ----------
    results : tuple of Recall
        The embedding; with a baseline, raw pixels too.
    queries, classes : int
        Images that were compared, and their classes.
    failed : int
        Images left out because they have no embedding.
    """

    results: tuple[Recall, ...]
    queries: int
    classes: int
    failed: int

    def columns(self) -> list[str]:
        """Heads of the table that `rows` fills."""
        return ["embedding", "dim", *(f"R@{k}" for k in self.results[0].recall)]

    def rows(self) -> list[list[str]]:
        """One line for each embedding; recall in percent."""
        return [
            [result.name, str(result.dim), *(f"{100 * recall:.2f}" for recall in result.recall.values())]
            for result in self.results
        ]

    def facts(self) -> dict[str, str]:
        """What the recall is of, in words."""
        failed = f"; {self.failed:,} without an embedding left out" if self.failed else ""
        return {"recall in %": f"{self.queries:,} queries of {self.classes:,} classes{failed}"}


@dataclass(frozen=True, eq=False)
class _Labelled:
    """Rows with an embedding and a label; how many were left out."""

    name: str
    embedding: NDArray[np.float32]  # (N, D)
    labels: NDArray[Any]  # (N,) str
    paths: tuple[Path, ...]
    failed: int


def evaluate(options: EvalOptions) -> EvalReport:
    """Compute recall at k. Progress goes to stderr.

    Raises
    ------
    DataError
        If the images have no labels, fewer than two have an embedding, or the data set is not there.
    RunError, DeviceError
        If the embeddings or the model cannot be used.
    ConfigError
        If a model comes without a data set, or a folder of embeddings with one.
    """
    if not options.source.exists():
        raise RunError(f"{options.source}: no such embedding folder or model.")
    found = _of_folder(options) if options.source.is_dir() else _of_model(options)
    results = [_recall(found.name, found.embedding, found, options.ks)]
    if options.baseline:
        pixels = pixel_thumbnails(found.paths, options.serving.threads)
        results.append(_recall("raw pixels, 16 x 16", pixels, found, options.ks))
    return EvalReport(tuple(results), len(found.labels), len(np.unique(found.labels)), found.failed)


def _recall(name: str, embedding: NDArray[np.float32], rows: _Labelled, ks: tuple[int, ...]) -> Recall:
    return Recall(name, embedding.shape[1], recall_at_k(embedding, rows.labels, ks))


def _of_folder(options: EvalOptions) -> _Labelled:
    folder = options.source
    if options.dataset is not None or options.data is not None:
        raise ConfigError(f"{folder} is a folder of embeddings, with labels inside; leave out --dataset and --data.")
    found = read_embeddings(folder)
    paths = tuple(Path(path) for path in found.paths)
    if None in found.labels:
        raise DataError(
            f"{folder}: {found.labels.count(None)} of {len(found.labels)} images have no label. Put every image into "
            "a sub-folder named after its class, and embed again."
        )
    return _without_failed(found.card.name, found.embedding, found.labels, paths, found.errors)


def _of_model(options: EvalOptions) -> _Labelled:
    if options.dataset is None or options.data is None:
        raise ConfigError(
            f"{options.source} is a model: name the images to evaluate it on with --dataset and --data, "
            "or give a folder that `lifted embed` wrote."
        )
    embedder = options.serving.open(options.source)
    splits = load_dataset(options.dataset, options.data, options.use_boxes)
    if splits.note:
        say(f"eval: {splits.note}")
    source = table_source(splits.test, options.data)
    with Progress("embed", total=source.count()) as progress:
        batch_size = options.serving.batch_size or embedder.batch_size
        times = StageTimes()
        batches = embed_rows(embedder, source, batch_size, Decoding(options.serving.decoders), times)
        found = collect(reported(batches, progress, times), embedder.card.dim)
    labels, paths = [row.label for row in found.rows], tuple(Path(row.path) for row in found.rows)
    return _without_failed(embedder.card.name, found.embedding, labels, paths, found.errors)


def _without_failed(
    name: str,
    embedding: NDArray[np.float32],
    labels: Sequence[str | None],
    paths: tuple[Path, ...],
    errors: Sequence[str | None],
) -> _Labelled:
    good = np.array([error is None for error in errors], bool)
    kept = tuple(path for path, keep in zip(paths, good, strict=True) if keep)
    return _Labelled(name, embedding[good], np.array(labels)[good], kept, int((~good).sum()))
