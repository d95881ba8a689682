"""Embeddings in two dimensions: a map in which near images are near."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import MissingPackageError
from gluon_lifted.metrics.scaling import in_unit_range
from serve_cli.progress import clock
from serve_cli.report.summary import members_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.choices import MapMethod
    from serve_cli.report.rows import Rows

log = logging.getLogger(__name__)
NAMES: dict[MapMethod, str] = {"tsne": "t-SNE (Barnes-Hut)", "pca": "PCA", "umap": "UMAP"}
DIMS_BEFORE = 50  # that PCA leaves for t-SNE, as van der Maaten's own description advises
PERPLEXITY = 30.0
SLOW = 500  # points; from so many on, it is said that the map is made
LEAST = 5  # points that t-SNE and UMAP can place; fewer are placed by PCA


def require_method(method: MapMethod) -> None:
    """Raise `MissingPackageError` if scikit-learn, or UMAP where that is asked for, is not installed."""
    _scikit_learn()
    if method == "umap":
        _umap()


def sample_rows(rows: Rows, count: int, seed: int) -> NDArray[np.intp]:
    """At most ``count`` rows, ascending, as evenly over the classes as their sizes allow, drawn with ``seed``.

    Every class gives its first row, then every class that has more its second, and so on; the round that would be too
    many is shared out among the classes at random.
    """
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(members) for members in members_of(rows)]
    rounds = np.concatenate([np.arange(len(members)) for members in shuffled])
    order = np.lexsort((rng.random(len(rows)), rounds))
    return np.sort(np.concatenate(shuffled)[order[:count]])


def place(embedding: NDArray[np.float32], method: MapMethod, seed: int) -> NDArray[np.float64]:
    """Place rows in the unit square, keeping the proportions of the layout.

    Parameters
    ----------
    embedding : ndarray, float32, (M, D)
        At least one row.
    method : MapMethod
        One of `NAMES`. Fewer than 5 different rows are placed by PCA.
    seed : int

    Returns
    -------
    ndarray, float64, (M, 2)
        In [0, 1], centered; all 0.5 if all rows are the same.

    Raises
    ------
    MissingPackageError
        If scikit-learn, or UMAP where that is asked for, is not installed.
    """
    began = time.monotonic()
    reduced = _principal(embedding, DIMS_BEFORE, seed)
    if method != "pca" and len(np.unique(reduced, axis=0)) >= LEAST:
        if len(embedding) >= SLOW:
            log.info("report: placing %s images on the map by %s ...", f"{len(embedding):,}", NAMES[method])
        placed = _by_tsne(reduced, seed) if method == "tsne" else _by_umap(reduced, seed)
        if len(embedding) >= SLOW:
            log.info("report: placed, took %s.", clock(time.monotonic() - began))
    else:
        placed = reduced[:, :2]
    return _in_unit_square(placed)


def _principal(embedding: NDArray[np.float32], dims: int, seed: int) -> NDArray[np.float64]:
    """Centered rows in the directions of largest variance: 2 to ``dims`` columns, zeros where there are no more."""
    decomposition, _ = _scikit_learn()
    rows = in_unit_range(embedding.astype(np.float64))  # scikit-learn squares distances in float32
    if not (rows != rows[0]).any():  # scikit-learn would divide by a variance of 0
        return np.zeros((len(rows), 2))
    pca = decomposition.PCA(min(dims, *rows.shape), svd_solver="auto", random_state=_random(seed))
    found = np.asarray(pca.fit_transform(rows))
    return np.pad(found, ((0, 0), (0, max(0, 2 - found.shape[1]))))


def _by_tsne(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Started from PCA, as Kobak & Berens 2019 advise, so that the whole has a shape that means something."""
    _, manifold = _scikit_learn()
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    start = rows[:, :2] / rows[:, 0].std() * 1e-4
    tsne = manifold.TSNE(2, perplexity=perplexity, init=start, random_state=_random(seed))
    return np.asarray(tsne.fit_transform(rows), np.float64)


def _by_umap(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    neighbors = min(15, len(rows) - 1)
    start = rows[:, :2] if rows[:, 1].any() else "random"  # it divides by the range of each column
    layout = _umap().UMAP(n_components=2, n_neighbors=neighbors, init=start, random_state=seed % 2**32, n_jobs=1)
    return np.asarray(layout.fit_transform(rows), np.float64)


def _in_unit_square(placed: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = placed.min(axis=0), placed.max(axis=0)
    size = float((high - low).max()) or 1.0
    return np.asarray((placed - (low + high) / 2) / size + 0.5)


def _random(seed: int) -> np.random.RandomState:
    return np.random.RandomState(np.random.MT19937(seed))  # takes seeds of any size


def _scikit_learn() -> tuple[Any, Any]:
    try:
        from sklearn import decomposition, manifold
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        raise MissingPackageError(
            "scikit-learn is not installed; the map needs it: pip install 'gluon-lifted[report]'."
        ) from None
    return decomposition, manifold


def _umap() -> Any:
    try:
        import umap
    except ModuleNotFoundError as error:
        if error.name != "umap":
            raise
        raise MissingPackageError("umap-learn is not installed; --map umap needs it: pip install umap-learn.") from None
    return umap
