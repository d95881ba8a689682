"""Whitened principal components: an embedding layer that retrieves well before any training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


IMAGES_PER_COMPONENT = 5  # fewer do not determine it


class Moments:
    """Mean and covariance of feature vectors that arrive in batches. Memory is O(C²) for any number of them.

    Parameters
    ----------
    width : int
        C, length of a feature vector.

    Notes
    -----
    Chan, Golub and LeVeque 1983 ("Algorithms for computing the sample variance"), eq. 2.1: two sets of n and m vectors
    with means a and b have, together, the scatter matrix of both plus :math:`(a - b)(a - b)^T nm / (n + m)`. In
    float64.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(width)
        self._scatter: NDArray[np.float64] = np.zeros((width, width))

    def add(self, features: NDArray[np.float32]) -> None:
        """Add vectors (n, C)."""
        rows = features.astype(np.float64)
        new, total = len(rows), self.count + len(rows)
        mean = rows.mean(axis=0)  # (C,)
        rows -= mean
        shift = mean - self.mean
        self._scatter += rows.T @ rows + np.outer(shift, shift) * (self.count * new / total)
        self.mean += shift * (new / total)
        self.count = total

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance of the vectors so far, (C, C): the scatter matrix divided by their number."""
        return self._scatter / max(self.count, 1)


def require_features(width: int, dim: int) -> None:
    """Raise `ConfigError` if a backbone has fewer features than the embedding has dimensions."""
    if dim > width:
        raise ConfigError(
            f"dim is {dim}, more than the {width:,} features of the backbone. Give --dim {width} or less, or "
            "--embedding-init random."
        )


def whitened_layer(
    moments: Moments, dim: int, distance: float, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    r"""Return weight (D, C) and bias (D,) of a linear layer that whitens the D directions of the largest variance.

    Fewer than `IMAGES_PER_COMPONENT` images per direction do not determine them: the last ones are random then.

    Parameters
    ----------
    moments : Moments
        Mean and covariance of the features that the layer reads.
    dim : int
        D, at most C.
    distance : float
        Root mean square of the distance between the embeddings of two random images.
    seed : int
        Seed of the random directions.

    Raises
    ------
    ConfigError
        If there are fewer features than D, or all images have the same ones.
    DataError
        If the features are not finite.

    Notes
    -----
    With mean :math:`\mu` and covariance :math:`U \Lambda U^T` of the features of n images, variances
    :math:`\lambda_1 \ge \lambda_2 \ge \dots` and their mean :math:`\bar\lambda` over all C,

    .. math::
        z = s \, (\Lambda_D + \kappa \bar\lambda I)^{-1/2} U_D^T (x - \mu), \qquad
        \kappa = 1 + \frac{C}{n}, \qquad
        s = \text{distance} \Big/ \sqrt{2 \sum_{i \le D} \frac{\lambda_i}{\lambda_i + \kappa \bar\lambda}}

    so that :math:`E \lVert z - z' \rVert^2 = \text{distance}^2` for two independent images. Whitening weakens the
    directions that all images share, which dominate the features' distances (Jégou and Chum 2012, "Negative evidences
    and co-occurrences in image retrieval: the benefit of PCA and whitening"). Adding the mean variance keeps it from
    enlarging directions in which classes seen in training hardly differ. The fewer the images, the less is known of
    their covariance, and the more is added.

    Components of few images describe those images alone: whitened, they lie far apart, and images that were not among
    them lie near the origin, close to everything. So the last directions are random then.
    ``benchmarks/results/first_model.md`` lists recall by D, number of images and distance.
    """
    covariance = moments.covariance
    if not (np.isfinite(moments.mean).all() and np.isfinite(covariance).all()):
        raise DataError("the backbone's features contain NaN or infinity. Check the file given with --weights.")
    require_features(len(covariance), dim)
    components, variances = _directions(covariance, dim, moments.count // IMAGES_PER_COMPONENT, seed)
    if not variances.any():
        raise ConfigError("all images have the same features. Check the images, or give --embedding-init random.")
    width = len(covariance)  # C
    shrunk = variances + (1 + width / moments.count) * np.trace(covariance) / width
    scale = distance / math.sqrt(2 * (variances / shrunk).sum())
    weight = components * (scale / np.sqrt(shrunk))[:, None]
    return weight.astype(np.float32), (-weight @ moments.mean).astype(np.float32)


def _directions(
    covariance: NDArray[np.float64], dim: int, most: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return D orthonormal directions (D, C), at most ``most`` of them components, and the variances along them."""
    components = np.linalg.eigh(covariance).eigenvectors.T[::-1][: max(1, min(dim, most))]
    if more := dim - len(components):
        drawn = np.random.default_rng(seed).standard_normal((more, covariance.shape[1]))
        drawn -= drawn @ components.T @ components
        components = np.concatenate([components, np.linalg.qr(drawn.T).Q.T])
    variances = np.einsum("dc,dc->d", components @ covariance, components)
    return components, np.maximum(variances, 0)
