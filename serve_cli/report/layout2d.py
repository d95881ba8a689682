"""Lay out embeddings in two dimensions: a map on which similar images are close."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import MissingPackageError
from gluon_lifted.extras import install_command
from gluon_lifted.metrics.scaling import in_unit_range
from gluon_lifted.progress import clock
from serve_cli.report.summary import members_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.choices import MapMethod
    from serve_cli.embeddings.reader import Embeddings

log = logging.getLogger(__name__)
NAMES: dict[MapMethod, str] = {"tsne": "t-SNE (Barnes-Hut)", "pca": "PCA", "umap": "UMAP"}
DIMS_BEFORE = 50  # PCA reduces to 50 dimensions before t-SNE, as van der Maaten advises
PERPLEXITY = 30.0
SLOW = 500  # points; a larger map is announced in the log
LEAST = 5  # points for t-SNE and UMAP; fewer are laid out by PCA


def require_method(method: MapMethod) -> None:
    """Raise `MissingPackageError` if scikit-learn, or UMAP where requested, is not installed."""
    _scikit_learn()
    if method == "umap":
        _umap()


def sample_rows(embeddings: Embeddings, count: int, seed: int) -> NDArray[np.intp]:
    """Sample at most ``count`` rows, ascending, spread over the classes as evenly as their sizes allow.

    Rows are drawn in rounds: one random row of every class, then a second row of every class that has more, and so on.
    The classes in the last round are drawn at random.
    """
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(members) for members in members_of(embeddings)]
    rounds = np.concatenate([np.arange(len(members)) for members in shuffled])
    order = np.lexsort((rng.random(len(embeddings)), rounds))
    return np.sort(np.concatenate(shuffled)[order[:count]])


def layout_2d(embedding: NDArray[np.float32], method: MapMethod, seed: int) -> NDArray[np.float64]:
    """Lay out rows in the unit square, with one scale for both axes.

    Parameters
    ----------
    embedding : ndarray, float32, (M, D)
        At least one row.
    method : MapMethod
        One of `NAMES`. PCA is used for fewer than 5 different rows.
    seed : int
        Seed of the method.

    Returns
    -------
    ndarray, float64, (M, 2)
        In [0, 1], centered; all 0.5 if all rows are the same.

    Raises
    ------
    MissingPackageError
        If scikit-learn, or UMAP where requested, is not installed.
    """
    began = time.monotonic()
    reduced = _principal(embedding, DIMS_BEFORE, seed)
    if method != "pca" and len(np.unique(reduced, axis=0)) >= LEAST:
        if len(embedding) >= SLOW:
            log.info("report: laying out %s images with %s ...", f"{len(embedding):,}", NAMES[method])
        layout = _by_tsne(reduced, seed) if method == "tsne" else _by_umap(reduced, seed)
        if len(embedding) >= SLOW:
            log.info("report: map finished, took %s.", clock(time.monotonic() - began))
    else:
        layout = reduced[:, :2]
    return _in_unit_square(layout)


def _principal(embedding: NDArray[np.float32], dims: int, seed: int) -> NDArray[np.float64]:
    """Project centered rows on 2 to ``dims`` principal components, padded with zeros."""
    decomposition, _ = _scikit_learn()
    rows = in_unit_range(embedding.astype(np.float64))  # scikit-learn squares distances in float32
    if not (rows != rows[0]).any():  # scikit-learn would divide by a variance of 0
        return np.zeros((len(rows), 2))
    pca = decomposition.PCA(min(dims, *rows.shape), svd_solver="auto", random_state=_random(seed))
    reduced = np.asarray(pca.fit_transform(rows))
    return np.pad(reduced, ((0, 0), (0, max(0, 2 - reduced.shape[1]))))


def _by_tsne(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Apply t-SNE, initialized with PCA to keep the global structure (Kobak and Berens 2019)."""
    _, manifold = _scikit_learn()
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    start = rows[:, :2] / rows[:, 0].std() * 1e-4
    tsne = manifold.TSNE(2, perplexity=perplexity, init=start, random_state=_random(seed))
    return np.asarray(tsne.fit_transform(rows), np.float64)


def _by_umap(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    neighbors = min(15, len(rows) - 1)
    start = rows[:, :2] if rows[:, 1].any() else "random"  # UMAP divides by the range of each column
    umap = _umap().UMAP(n_components=2, n_neighbors=neighbors, init=start, random_state=seed % 2**32, n_jobs=1)
    return np.asarray(umap.fit_transform(rows), np.float64)


def _in_unit_square(layout: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = layout.min(axis=0), layout.max(axis=0)
    size = float((high - low).max()) or 1.0
    return np.asarray((layout - (low + high) / 2) / size + 0.5)


def _random(seed: int) -> np.random.RandomState:
    return np.random.RandomState(np.random.MT19937(seed))  # MT19937 takes seeds of any size


def _scikit_learn() -> tuple[Any, Any]:
    try:
        from sklearn import decomposition, manifold
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        raise MissingPackageError(
            f"scikit-learn is not installed; the map needs it: `{install_command('report')}`."
        ) from None
    return decomposition, manifold


def _umap() -> Any:
    try:
        import umap
    except ModuleNotFoundError as error:
        if error.name != "umap":
            raise
        raise MissingPackageError(
            "umap-learn is not installed; --map umap needs it: `pip install umap-learn`."
        ) from None
    return umap
