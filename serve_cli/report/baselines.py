"""Recall that embeddings must beat: that of raw pixels, and that of the network before training."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.images import read_image
from gluon_lifted.metrics.baselines import STRETCHED, thumbnail_rows
from gluon_lifted.metrics.bootstrap import ClassBootstrap, Estimate
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.recall_comparison import EMBEDDING, PIXELS, POOLED
from gluon_lifted.metrics.retrieval import retrieval_scores
from gluon_lifted.progress import open_progress
from serve_cli.report.access import Reason, WithheldError, is_url
from serve_cli.report.summary import curve_ks
from serve_cli.report.thumbnails import decoded_or_reason, image_reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from serve_cli.embeddings.reader import Embeddings
    from serve_cli.report.access import Access
    from serve_cli.report.run_start import RunStart

MOST_UNASKED = 10_000  # images whose pixels are compared by default, which is quick
KINDS = {PIXELS: "pixels", EMBEDDING: "start", POOLED: "pooled"}  # names in the style sheet
NAMES = {EMBEDDING: "embedding before training", POOLED: "pooled features before training"}


class Baseline(NamedTuple):
    """Recall of something simpler on the same images: name, kind, k -> recall in [0, 1], and recall@1."""

    name: str
    kind: str
    recall: dict[int, float]
    at_1: Estimate


class Baselines(NamedTuple):
    """Baselines, and why images are not compared by pixels, which is empty if they are."""

    lines: tuple[Baseline, ...]
    without_pixels: str = ""


def measure_baselines(
    embeddings: Embeddings, access: Access, start: RunStart | None, *, pixels: bool | None
) -> Baselines:
    """Measure raw pixels, and take what a run measured before training if it had the same images.

    Parameters
    ----------
    embeddings : Embeddings
        At least two rows.
    access : Access
        Reads the pictures that may be read.
    start : RunStart or None
        The start of the run that trained the model.
    pixels : bool or None
        Whether to read all images and compare their pixels. None: only if there are at most `MOST_UNASKED`, none of
        them behind a URL.
    """
    before: tuple[Baseline, ...] = ()
    if start is not None and start.measured_same_images(embeddings):
        before = tuple(_from_start(name, recall) for name, recall in start.recall.items() if name in KINDS)
    known = any(baseline.kind == KINDS[PIXELS] for baseline in before)
    if known or pixels is False:
        return Baselines(before)
    if pixels is None and len(embeddings) > MOST_UNASKED:
        return Baselines(before, f"there are more than {MOST_UNASKED:,} images; --baseline compares them")
    if pixels is None and any(map(is_url, embeddings.paths)):
        return Baselines(before, "images have URLs; --baseline with --fetch compares them")
    try:
        rows = _pixel_rows(embeddings.paths, access)
    except WithheldError as error:
        return Baselines(before, f"images {access.why(error.reason)}")
    return Baselines((*before, _recall_by_pixels(rows, embeddings.labels)))


def _from_start(name: str, recall: Mapping[int, Estimate]) -> Baseline:
    return Baseline(
        NAMES.get(name, name), KINDS[name], {k: estimate.value for k, estimate in recall.items()}, recall[1]
    )


def _recall_by_pixels(rows: NDArray[np.float32], labels: NDArray[np.int64]) -> Baseline:
    with open_progress("rank by pixels", len(rows), "queries") as progress:
        scores = retrieval_scores(
            Search.leave_one_out(rows, labels),
            only_first=True,
            report=lambda share: progress.update(round(share * len(rows))),
        )
    recall = {k: float(scores.recall_at_k(k).mean()) for k in curve_ks(len(rows) - 1)}
    return Baseline(PIXELS, KINDS[PIXELS], recall, ClassBootstrap(labels).interval(scores.recall_at_k(1)))


def _pixel_rows(paths: Sequence[str], access: Access) -> NDArray[np.float32]:
    """Read every image as a thumbnail, one per row. Raise `WithheldError` if one is not read."""
    read = image_reader(paths, access)

    def thumbnail(path: str) -> NDArray[np.uint8]:
        pixels = decoded_or_reason(path, read, lambda content: read_image(content, STRETCHED))
        if isinstance(pixels, Reason):
            raise WithheldError(pixels)
        return pixels

    with open_progress("raw pixels", len(paths)) as progress:
        return thumbnail_rows(paths, thumbnail, report=progress.update)
