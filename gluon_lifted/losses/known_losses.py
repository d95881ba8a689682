"""Table of the losses. Each is declared once, for the command line, the configuration and `build_loss`."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gluon_lifted.losses.metric_loss import MetricLoss


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
    squared_margin : bool
        Whether the margin is a squared distance.
    defaults : mapping of str to (value, source)
        Fields of `TrainConfig` whose default changes with this loss.
    """

    module: str
    class_name: str
    help: str
    sampler: str | None = None
    squared_margin: bool = False
    defaults: Mapping[str, tuple[Any, str]] = field(default_factory=dict)

    @property
    def loss_class(self) -> type[MetricLoss]:
        """The loss's class, imported from its module."""
        loss_class: type[MetricLoss] = getattr(import_module(f"{__package__}.{self.module}"), self.class_name)
        return loss_class


LOSSES: dict[str, LossDeclaration] = {
    "lifted": LossDeclaration("lifted", "LiftedStructureLoss", "the paper's: each positive pair, all its negatives"),
    "contrastive": LossDeclaration(
        "contrastive",
        "ContrastiveLoss",
        "disjoint pairs",
        sampler="pairs",
        defaults={"sampler": ("pairs", "the loss reads pairs")},
    ),
    "contrastive-all": LossDeclaration("contrastive", "AllPairsContrastiveLoss", "all pairs of a batch"),
    "triplet": LossDeclaration(
        "triplet",
        "TripletLoss",
        "disjoint triplets",
        sampler="triplets",
        squared_margin=True,
        defaults={
            "sampler": ("triplets", "the loss reads triplets"),
            "batch_size": (120, "paper: 120 images, 40 triplets"),
        },
    ),
    "triplet-semihard": LossDeclaration(
        "triplet", "SemiHardTripletLoss", "semi-hard negatives of the batch", squared_margin=True
    ),
    "generalized-lifted": LossDeclaration(
        "generalized_lifted", "GeneralizedLiftedStructureLoss", "each image, all its positives and negatives"
    ),
}


def build_loss(name: str, margin: float) -> MetricLoss:
    """Build a loss. It is not hybridized.

    Parameters
    ----------
    name : str
        A key of `LOSSES`.
    margin : float
        A distance, or a squared distance for the losses declared with ``squared_margin``.

    Raises
    ------
    ConfigError
        If there is no loss of that name, or the margin is not a finite number.
    """
    if name not in LOSSES:
        raise ConfigError(f"loss {name!r} is unknown; choose one of {', '.join(LOSSES)}.")
    return LOSSES[name].loss_class(margin)
