"""Losses: embedding (B, D) and label (B,) -> loss (1,). All hybridize, in float32 and float64."""

from gluon_lifted.losses.contrastive import AllPairsContrastiveLoss, ContrastiveLoss
from gluon_lifted.losses.generalized_lifted import GeneralizedLiftedStructureLoss
from gluon_lifted.losses.lifted import LiftedStructureLoss
from gluon_lifted.losses.metric_loss import MetricLoss
from gluon_lifted.losses.registry import LOSSES, build_loss
from gluon_lifted.losses.triplet import SemiHardTripletLoss, TripletLoss

__all__ = [
    "LOSSES",
    "AllPairsContrastiveLoss",
    "ContrastiveLoss",
    "GeneralizedLiftedStructureLoss",
    "LiftedStructureLoss",
    "MetricLoss",
    "SemiHardTripletLoss",
    "TripletLoss",
    "build_loss",
]
