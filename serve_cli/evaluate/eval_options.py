"""What `lifted eval` is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    from pathlib import Path

    from gluon_lifted.metrics.choices import ClusteringProtocol, Distance
    from serve_cli.choices import PublishedDataset


@dataclass(frozen=True, kw_only=True)
class Images:
    """What a model is evaluated on; folders of embeddings have their images already.

    Parameters
    ----------
    dataset : str, optional
        A name that `gluon_lifted.load_dataset` knows; its test images are taken.
    data : Path, optional
        Its root.
    use_boxes : bool
        Cut images to the data set's boxes, as in training.
    model_options : ModelOptions
        How the model runs.
    """

    dataset: str | None = None
    data: Path | None = None
    use_boxes: bool = False
    model_options: ModelOptions = ModelOptions()


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What is evaluated, and how.

    Parameters
    ----------
    sources : tuple of Path
        Folders that `lifted embed` wrote, or models. The first is what the others are compared with.
    ks : tuple of int
        Ranks to report recall at.
    images : Images
        For models.
    gallery : Path, optional
        A folder of embeddings in which those of the one source are looked up; by default each image is looked up
        among all others.
    distance : {"euclidean", "cosine"}
    recall_only : bool
        Leave out what needs all positives of each query.
    queries : int, optional
        Images to sample as queries, if not all are; the gallery stays whole.
    clustering : str, optional
        Name of a k-means protocol, ``"authors"`` or ``"modern"``, if clusters are to be scored.
    baseline : bool
        Add retrieval by raw pixels.
    published : str, optional
        Data set whose published results are to stand beside those measured.
    seed : int
        Of samples, resamples and clusters.
    """

    sources: tuple[Path, ...]
    ks: tuple[int, ...] = (1, 2, 4, 8)
    images: Images = field(default_factory=Images)
    gallery: Path | None = None
    distance: Distance = "euclidean"
    recall_only: bool = False
    queries: int | None = None
    clustering: ClusteringProtocol | None = None
    baseline: bool = False
    published: PublishedDataset | None = None
    seed: int = 0
