"""Step 1 of `lifted eval`: read embeddings with labels from folders, or compute them with models."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.datasets import load_dataset
from gluon_lifted.datasets.known_datasets import DEFAULT_DATASET
from gluon_lifted.errors import ConfigError, DataError, RunError
from gluon_lifted.metrics.baselines import THUMBNAIL, pixel_thumbnails
from gluon_lifted.metrics.clustering import require_scikit_learn
from gluon_lifted.progress import open_progress
from serve_cli.embed.decoding import Decoding
from serve_cli.embed.embed_rows import collect, embed_rows, reported
from serve_cli.embed.stage_times import StageTimes
from serve_cli.embeddings.reader import NO_LABEL, Embeddings, encode_labels, read_embeddings
from serve_cli.model.embedder import Embedder
from serve_cli.path_kinds import did_you_mean, wrong_kind
from serve_cli.sources.resolve import dataset_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluon_lifted.metrics.choices import Distance
    from serve_cli.evaluate.eval_options import EvalOptions, Images


log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class EvalInputs:
    """Embeddings to evaluate. Every row has an embedding and a label.

    Parameters
    ----------
    sources : tuple of Embeddings
        The others are compared with the first.
    gallery : Embeddings or None
        None if each row is searched among all others of its source.
    distance : {"euclidean", "cosine"}
        Distance that ranks the gallery.
    paired : bool
        Whether all sources have the same images.
    failed : int
        Number of rows left out because they have no embedding.
    """

    sources: tuple[Embeddings, ...]
    gallery: Embeddings | None
    distance: Distance
    paired: bool
    failed: int


def read_inputs(options: EvalOptions) -> EvalInputs:
    """Read every source and the gallery. Raise as `evaluate_embeddings` does."""
    paths = [Path(source) for source in options.sources]
    _check(options, paths)
    sources = [_read_source(path, options.images) for path in paths]
    distance = options.distance or _trained_distance(sources)
    gallery = None if options.gallery is None else _read_gallery(Path(options.gallery), sources[0])
    failed = sum(embeddings.failed for embeddings in (*sources, gallery) if embeddings is not None)
    comparable, paired = _comparable(_with_unique_names(sources, paths))
    if options.baseline:
        comparable.append(_pixel_baseline(comparable[0], options.images.model_options.threads))
    return EvalInputs(
        sources=tuple(comparable),
        gallery=None if gallery is None else gallery.only(gallery.embedded),
        distance=distance,
        paired=paired,
        failed=failed,
    )


def _check(options: EvalOptions, sources: Sequence[Path]) -> None:
    folders = [source for source in sources if source.is_dir()]
    images = options.images
    if len(folders) == len(sources) and (images.dataset is not None or images.data is not None):
        raise ConfigError(
            f"{folders[0]} is a folder of embeddings, which has its own labels; leave out --dataset and --data."
        )
    if options.gallery is not None and (len(sources) > 1 or options.baseline):
        raise ConfigError("--gallery needs exactly one source and no --baseline.")
    if options.clustering is not None:
        require_scikit_learn()  # fails before the long work of embedding and ranking


def _read_source(source: Path, images: Images) -> Embeddings:
    if not source.exists():
        raise RunError(
            f"{source}: no such file or folder.{did_you_mean(source)} Expected a folder of embeddings, or an "
            "ONNX model."
        )
    return read_labeled_folder(source) if source.is_dir() else _embed_test_images(source, images)


def read_labeled_folder(folder: Path) -> Embeddings:
    """Read a folder of `lifted embed`. Raise `RunError`, or `DataError` if embedded images have no label."""
    embeddings = read_embeddings(folder)
    unlabeled = np.count_nonzero(embeddings.embedded & (embeddings.labels == NO_LABEL))
    if unlabeled:
        raise DataError(
            f"{folder}: {unlabeled} of {len(embeddings)} images have no label. Put every image into "
            "a sub-folder with the name of its class, and embed again."
        )
    _warn_of_failures(embeddings)
    return embeddings


def _embed_test_images(model: Path, images: Images) -> Embeddings:
    if images.data is None:
        raise ConfigError(
            f"{model} is a model, which needs images: give --data a folder with one sub-folder per class. For another "
            "kind of data set, add --dataset. Or give a folder of embeddings instead of the model."
        )
    embedder = Embedder(model, images.model_options)
    splits = load_dataset(images.dataset or DEFAULT_DATASET, images.data, use_boxes=images.use_boxes)
    if splits.note:
        log.info("%s: %s", model.name, splits.note)
    source = dataset_source(splits.test, Path(images.data))
    with open_progress("embed", total=source.count()) as progress:
        times = StageTimes()
        batches = embed_rows(embedder, source, embedder.batch_size, Decoding(embedder.threads), times)
        embedded = collect(reported(batches, progress, times), embedder.card.dim)
    labels, class_names = encode_labels([row.label for row in embedded.rows])
    embeddings = Embeddings(
        name=model.name,
        card=embedder.card,
        ids=tuple(str(row.id) for row in embedded.rows),
        paths=tuple(str(row.path) for row in embedded.rows),
        labels=labels,
        class_names=class_names,
        embedding=embedded.embedding,
        errors=tuple(embedded.errors),
    )
    _warn_of_failures(embeddings)
    return embeddings


def _warn_of_failures(embeddings: Embeddings) -> None:
    if embeddings.failed:
        first = next(error for error in embeddings.errors if error is not None)
        failed = f"{embeddings.failed:,} of {len(embeddings):,}"
        log.warning("%s: %s images have no embedding. The first: %s", embeddings.name, failed, first)


def _read_gallery(folder: Path, queries: Embeddings) -> Embeddings:
    """Read the gallery, which must come from the same model as the queries."""
    if not folder.is_dir():
        raise RunError(wrong_kind(folder, "embeddings"))
    gallery = read_labeled_folder(folder)
    if gallery.card != queries.card:
        ours, theirs = asdict(gallery.card), asdict(queries.card)
        differ = ", ".join(name for name in ours if ours[name] != theirs[name])
        raise RunError(
            f"{folder} and {queries.name} come from models with different cards ({differ}); embed both with one model."
        )
    return gallery


def _trained_distance(sources: Sequence[Embeddings]) -> Distance:
    """Return the distance that the models were trained for. Both rank unit vectors alike."""
    distances = {source.name: source.card.distance for source in sources if not source.card.normalized}
    if len(set(distances.values())) > 1:
        differ = ", ".join(f"{name}: {distance}" for name, distance in distances.items())
        raise ConfigError(f"the models were trained for different distances ({differ}); choose one with --distance.")
    return next(iter(distances.values()), "euclidean")


def _with_unique_names(embeddings: Sequence[Embeddings], sources: Sequence[Path]) -> list[Embeddings]:
    """Name all sources by their paths if their names are not unique."""
    if len({source.name for source in embeddings}) == len(embeddings):
        return list(embeddings)
    return [replace(source, name=str(path)) for source, path in zip(embeddings, sources, strict=True)]


def _comparable(sources: Sequence[Embeddings]) -> tuple[list[Embeddings], bool]:
    """Leave out rows without an embedding, and return whether all sources have the same images.

    If they do, only images that every source has embedded are kept, so that results are comparable.
    """
    first = sources[0]
    paired = all(source.ids == first.ids and source.label_names == first.label_names for source in sources)
    if paired:
        everywhere = np.logical_and.reduce([source.embedded for source in sources])
        return [source.only(everywhere) for source in sources], True
    return [source.only(source.embedded) for source in sources], False


def _pixel_baseline(embeddings: Embeddings, threads: int | None) -> Embeddings:
    """Embed the same images by their pixels. Only local files are read, since a folder can name any path."""
    for path in embeddings.paths:
        if not os.path.isfile(path):  # reading a pipe would block
            raise DataError(
                f"{path:.200}: no such image file; restore it, or leave out --baseline, which reads all images."
            )
    pixels = pixel_thumbnails([Path(path) for path in embeddings.paths], threads)
    return replace(embeddings, name=f"raw pixels, {THUMBNAIL} x {THUMBNAIL}", embedding=pixels)
