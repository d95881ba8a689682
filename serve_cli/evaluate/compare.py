"""Metrics of embeddings, with intervals and side by side: the work of `lifted eval`."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError, DataError, RunError
from gluon_lifted.metrics.baselines import THUMBNAIL, pixel_thumbnails
from gluon_lifted.metrics.bootstrap import ClassBootstrap, Estimate
from gluon_lifted.metrics.intervals import wilson
from serve_cli.evaluate.eval_report import Difference, EvalReport, Result
from serve_cli.evaluate.load import comparable, labeled_folder, read_labeled
from serve_cli.evaluate.measure import measure
from serve_cli.evaluate.notes import clustering_in_words, interval_in_words, note_in_words
from serve_cli.evaluate.published import published_rows

if TYPE_CHECKING:
    from serve_cli.evaluate.eval_options import EvalOptions
    from serve_cli.evaluate.load import Labeled
    from serve_cli.evaluate.measure import Measured


def evaluate(options: EvalOptions) -> EvalReport:
    """Compute all metrics that were asked for. Progress goes to stderr.

    Raises
    ------
    DataError
        If images have no labels, fewer than two have an embedding, or the data set is not there.
    RunError, DeviceError
        If embeddings or a model cannot be used.
    ConfigError
        If a model comes without a data set, a data set without a model, or a gallery with more than one source.
    MissingPackageError
        If clusters are asked for and scikit-learn is not installed.
    """
    _check(options)
    read = [read_labeled(source, options.images) for source in options.sources]
    found, paired = comparable(read, options.sources)
    gallery = None if options.gallery is None else _gallery(options.gallery, found[0])
    failed = sum(int((~one.embedded).sum()) for one in (*read, *([gallery] if gallery else [])))
    gallery = gallery and gallery.only(gallery.embedded)
    if options.baseline:
        found.append(_pixels(found[0], options.images.model_options.threads))
    measured = [measure(one, gallery, options) for one in found]
    first = measured[0]
    return EvalReport(
        results=tuple(_result(one, options.seed) for one in measured),
        differences=tuple(_difference(one, first, options.seed) for one in measured[1:]) if paired else (),
        published=published_rows(options.published) if options.published else (),
        gallery=gallery.name if gallery else None,
        failed=failed,
        distance=options.distance,
        interval=interval_in_words(first),
        clustering=clustering_in_words(options),
        note=note_in_words(measured, paired, options),
    )


def _check(options: EvalOptions) -> None:
    folders = [source for source in options.sources if source.is_dir()]
    images = options.images
    if len(folders) == len(options.sources) and (images.dataset is not None or images.data is not None):
        raise ConfigError(
            f"{folders[0]} is a folder of embeddings, with labels inside; leave out --dataset and --data."
        )
    if options.gallery is not None and (len(options.sources) > 1 or options.baseline):
        raise ConfigError("--gallery goes with one folder of embeddings, not with several or with --baseline.")


def _gallery(folder: Path, queries: Labeled) -> Labeled:
    """The gallery's embeddings, of the same model as the queries'."""
    if not folder.is_dir():
        raise RunError(f"{folder}: no such embedding folder; make the gallery with `lifted embed`.")
    found = labeled_folder(folder)
    if found.card != queries.card:
        ours, theirs = asdict(found.card), asdict(queries.card)
        differ = ", ".join(name for name in ours if ours[name] != theirs[name])
        raise RunError(
            f"{folder} and {queries.name} were made by models whose cards differ ({differ}); embed both with one file."
        )
    return found


def _pixels(found: Labeled, threads: int | None) -> Labeled:
    """The same images by their pixels: local files alone, since an embedding folder can name anything."""
    for named in found.paths:
        if not os.path.isfile(named):  # nor a pipe, which would be waited for
            raise DataError(f"{named!s:.200}: no such image file; --baseline reads the images that were embedded.")
    pixels = pixel_thumbnails([Path(path) for path in found.paths], threads)
    return replace(found, name=f"raw pixels, {THUMBNAIL} x {THUMBNAIL}", embedding=pixels)


def _result(measured: Measured, seed: int) -> Result:
    bootstrap = ClassBootstrap(measured.labels, seed=seed)
    metrics = {}
    for name, values in measured.values.items():
        estimate = bootstrap.interval(values)
        metrics[name] = _of_sample(estimate, len(values), measured.population) if measured.sampled else estimate
    clusters = {name: Estimate(value, math.nan, math.nan) for name, value in measured.clusters.items()}
    return Result(
        measured.name,
        measured.dim,
        metrics | clusters,
        queries=len(measured.labels),
        classes=len(np.unique(measured.labels)),
        gallery=measured.gallery,
        alone=measured.alone,
    )


def _of_sample(estimate: Estimate, sample: int, population: int) -> Estimate:
    """How far the value of all queries may be from that of a sample."""
    if math.isnan(estimate.value):
        return estimate
    return Estimate(estimate.value, *wilson(estimate.value, sample, population))


def _difference(measured: Measured, first: Measured, seed: int) -> Difference:
    bootstrap = ClassBootstrap(first.labels, seed=seed)
    metrics = {name: bootstrap.difference(values, first.values[name]) for name, values in measured.values.items()}
    return Difference(measured.name, first.name, metrics)
