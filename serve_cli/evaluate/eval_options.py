"""Options of `lifted eval`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gluon_lifted.metrics.choices import ClusteringProtocol, Distance
    from serve_cli.choices import PublishedDataset


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images to evaluate models on. Folders of embeddings need none.

    Parameters
    ----------
    dataset : str, optional
        A name that `gluon_lifted.load_dataset` knows. Its test images are used. By default, ``"folder"``.
    data : str or Path, optional
        Root of the data set.
    use_boxes : bool
        Crop images to the data set's boxes, as in training.
    model_options : ModelOptions
        Device, threads and batch size of the model.
    """

    dataset: str | None = None
    data: str | Path | None = None
    use_boxes: bool = False
    model_options: ModelOptions = ModelOptions()


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """Options of `lifted eval`.

    Parameters
    ----------
    sources : sequence of str or Path
        Folders that `lifted embed` wrote, or models. The others are compared with the first.
    ks : tuple of int
        Ranks to report recall at.
    images : Images
        Images for the models among the sources.
    gallery : str or Path, optional
        Folder of embeddings in which the images of the only source are searched. By default, each image is searched
        among all others of its source.
    distance : {"euclidean", "cosine"}, optional
        Distance that ranks the gallery; by default the one that the models were trained for, as their cards say.
    recall_only : bool
        Leave out the metrics that need all positives of each query.
    queries : int, optional
        Number of images to sample as queries; by default all. The gallery is not sampled.
    clustering : str, optional
        Name of a k-means protocol, ``"authors"`` or ``"modern"``; by default, nothing is clustered.
    baseline : bool
        Add retrieval by raw pixels.
    published : str, optional
        Data set whose published results are shown beside the measured ones.
    seed : int
        Seed of samples, bootstrap resamples and clusters.
    """

    sources: Sequence[str | Path]
    ks: tuple[int, ...] = (1, 2, 4, 8)
    images: Images = field(default_factory=Images)
    gallery: str | Path | None = None
    distance: Distance | None = None
    recall_only: bool = False
    queries: int | None = None
    clustering: ClusteringProtocol | None = None
    baseline: bool = False
    published: PublishedDataset | None = None
    seed: int = 0
