"""Train Gluon embedding models with the lifted structured loss; data sets, preprocessing and retrieval metrics."""

from gluon_lifted.lazy import lazy_names

__version__ = "0.1.0"

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AllPairsContrastiveLoss": "losses",
        "ContrastiveLoss": "losses",
        "EmbeddingNet": "nets.embedding",
        "GeneralisedLiftedStructureLoss": "losses",
        "GoogLeNet": "nets.googlenet",
        "LiftedStructureLoss": "losses",
        "ModelCard": "card",
        "Preprocessing": "images",
        "SemiHardTripletLoss": "losses",
        "TripletLoss": "losses",
        "build_loss": "losses",
        "TrainConfig": "settings.config",
        "load_dataset": "datasets",
        "recall_at_k": "metrics.recall",
        "train": "training.run",
    },
)
