"""Table of the losses. Each is declared once, for the command line, the configuration and `build_loss`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gluon_lifted.losses.metric_loss import MetricLoss
    from gluon_lifted.metrics.choices import Distance

SQUARED_DISTANCE = "a squared distance"


@dataclass(frozen=True)
class LossDeclaration:
    """A loss: the location of its class, and what training must know before importing it.

    Parameters
    ----------
    module, class_name : str
        A module of this package and its `MetricLoss`, imported when first used because it needs MXNet.
    help : str
        Short description in the help text of ``--loss``.
    sampler : str, optional
        The only sampler whose batch layout the loss can read. None: any sampler.
    distance : {"euclidean", "cosine"}
        Distance that the loss compares embeddings by. Retrieval should rank by the same.
    margin : str
        What the margin measures.
    has_proxies : bool
        Whether the loss is a `ProxyLoss`: it has a trained vector per class.
    defaults : mapping of str to (value, source)
        Fields of `TrainConfig` whose default changes with this loss.
    """

    module: str
    class_name: str
    help: str
    sampler: str | None = None
    distance: Distance = "euclidean"
    margin: str = "a distance"
    has_proxies: bool = False
    defaults: Mapping[str, tuple[Any, str]] = field(default_factory=dict)

    def as_distance(self, margin: float) -> float:
        """Return the Euclidean distance that a margin stands for; 1 for cosines, which do not depend on scale."""
        if self.distance == "cosine" or margin == 0:
            return 1.0
        return math.sqrt(abs(margin)) if self.margin == SQUARED_DISTANCE else abs(margin)

    @property
    def loss_class(self) -> type[MetricLoss]:
        """The loss's class, imported from its module."""
        loss_class: type[MetricLoss] = getattr(import_module(f"{__package__}.{self.module}"), self.class_name)
        return loss_class


# The authors of all three normalize the network's output. Then Euclidean search finds what the loss has learned
_UNIT_LENGTH = {"normalize": (True, "the loss compares directions, not lengths")}
# Beyond the margin, pairs of two classes have no gradient, and a start far from it only pulls all images together
_START_AT_MARGIN = {"init_distance": (1.0, "pairs of two classes have no gradient beyond the margin")}

LOSSES: dict[str, LossDeclaration] = {
    "lifted": LossDeclaration("lifted", "LiftedStructureLoss", "the paper's: each positive pair, all its negatives"),
    "contrastive": LossDeclaration(
        "contrastive",
        "ContrastiveLoss",
        "disjoint pairs",
        sampler="pairs",
        defaults={"sampler": ("pairs", "the loss reads pairs"), **_START_AT_MARGIN},
    ),
    "contrastive-all": LossDeclaration(
        "contrastive", "AllPairsContrastiveLoss", "all pairs of a batch", defaults=_START_AT_MARGIN
    ),
    "triplet": LossDeclaration(
        "triplet",
        "TripletLoss",
        "disjoint triplets",
        sampler="triplets",
        margin=SQUARED_DISTANCE,
        defaults={
            "sampler": ("triplets", "the loss reads triplets"),
            "batch_size": (120, "paper: 120 images, 40 triplets"),
        },
    ),
    "triplet-semihard": LossDeclaration(
        "triplet", "SemiHardTripletLoss", "semi-hard negatives of the batch", margin=SQUARED_DISTANCE
    ),
    "generalized-lifted": LossDeclaration(
        "generalized_lifted", "GeneralizedLiftedStructureLoss", "each image, all its positives and negatives"
    ),
    "multi-similarity": LossDeclaration(
        "multi_similarity",
        "MultiSimilarityLoss",
        "hard pairs, weighted by cosine",
        distance="cosine",
        margin="a cosine",
        defaults={"margin": (0.5, "research-ms-loss: thresh 0.5; Wang et al. 2019: 1"), **_UNIT_LENGTH},
    ),
    "proxy-anchor": LossDeclaration(
        "proxy_anchor",
        "ProxyAnchorLoss",
        "a learned vector per class, all images",
        distance="cosine",
        margin="a cosine",
        has_proxies=True,
        defaults={
            "margin": (0.1, "Kim et al. 2020: delta 0.1"),
            "proxy_lr_mult": (100.0, "Proxy-Anchor-CVPR2020, train.py: proxies at 100 times the rate"),
            **_UNIT_LENGTH,
        },
    ),
    "normalized-softmax": LossDeclaration(
        "normalized_softmax",
        "NormalizedSoftmaxLoss",
        "classification by cosine",
        distance="cosine",
        margin="a cosine",
        has_proxies=True,
        defaults={
            "margin": (0.0, "Zhai and Wu 2019: none; above 0 it is CosFace"),
            "proxy_lr_mult": (100.0, "as proxy-anchor; Zhai and Wu 2019 train with sgd at 0.01, where 1 suffices"),
            **_UNIT_LENGTH,
        },
    ),
}


def build_loss(name: str, margin: float, num_classes: int = 0, dim: int = 0) -> MetricLoss:
    """Build a loss. It is not hybridized, and its proxies are not initialized.

    Parameters
    ----------
    name : str
        A key of `LOSSES`.
    margin : float
        What the loss's declaration says it measures.
    num_classes, dim : int
        Classes to train on, and width of the embedding: the shape of proxies. Other losses ignore them.

    Raises
    ------
    ConfigError
        If there is no loss of that name, the margin is not a finite number, or proxies would have no shape.
    """
    if name not in LOSSES:
        raise ConfigError(f"loss {name!r} is unknown. Choose one of {', '.join(LOSSES)}.")
    declaration = LOSSES[name]
    shape = {"num_classes": num_classes, "dim": dim} if declaration.has_proxies else {}
    return declaration.loss_class(margin, **shape)
