"""Losses by name."""

from __future__ import annotations

from gluon_lifted.errors import ConfigError
from gluon_lifted.losses.contrastive import AllPairsContrastiveLoss, ContrastiveLoss
from gluon_lifted.losses.generalized_lifted import GeneralizedLiftedStructureLoss
from gluon_lifted.losses.lifted import LiftedStructureLoss
from gluon_lifted.losses.metric_loss import MetricLoss
from gluon_lifted.losses.triplet import SemiHardTripletLoss, TripletLoss

LOSSES: dict[str, type[MetricLoss]] = {
    "lifted": LiftedStructureLoss,
    "contrastive": ContrastiveLoss,
    "contrastive-all": AllPairsContrastiveLoss,
    "triplet": TripletLoss,
    "triplet-semihard": SemiHardTripletLoss,
    "generalized-lifted": GeneralizedLiftedStructureLoss,
}


def build_loss(name: str, margin: float) -> MetricLoss:
    """A loss, not hybridized.

    Parameters
    ----------
    name : str
        A key of `LOSSES`.
    margin : float
        Of distance; of squared distance for the triplet losses.

    Raises
    ------
    ConfigError
        If there is no loss of that name, or the margin is not a finite number.
    """
    if name not in LOSSES:
        raise ConfigError(f"loss {name!r} is unknown; choose one of {', '.join(LOSSES)}.")
    return LOSSES[name](margin)
