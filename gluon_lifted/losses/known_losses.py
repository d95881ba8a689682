"""The losses that training knows, each declared once: command line, configuration and `build_loss` read this table."""

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
    """A loss: where its class is, and what training needs to know without importing it.

    Parameters
    ----------
    module, class_name : str
        A module of this package and its `MetricLoss`. Imported on use, because it needs MXNet.
    help : str
        A few words for the help text of ``--loss``.
    sampler : str, optional
        The only sampler that lays batches out as the loss reads them. None: any sampler will do.
    squared_margin : bool
        Whether the margin is a squared distance.
    defaults : mapping of str to (value, source)
        Defaults of `TrainConfig` that change with this loss, by field.
    """

    module: str
    class_name: str
    help: str
    sampler: str | None = None
    squared_margin: bool = False
    defaults: Mapping[str, tuple[Any, str]] = field(default_factory=dict)

    @property
    def loss_class(self) -> type[MetricLoss]:
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
    """Make a loss, not hybridized.

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
