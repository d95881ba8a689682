"""Train Gluon embedding models with the lifted structured loss; data sets, preprocessing and retrieval metrics."""

from gluon_lifted.lazy import lazy_names

__version__ = "0.1.0"

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AllPairsContrastiveLoss": "losses",
        "ClassBootstrap": "metrics.bootstrap",
        "ContrastiveLoss": "losses",
        "EmbeddingNet": "networks.embedding_net",
        "GeneralizedLiftedStructureLoss": "losses",
        "GoogLeNet": "networks.googlenet",
        "LiftedStructureLoss": "losses",
        "ModelCard": "card",
        "Preprocessing": "images",
        "Scores": "metrics.retrieval",
        "Search": "metrics.ranking.search",
        "SemiHardTripletLoss": "losses",
        "TripletLoss": "losses",
        "ami": "metrics.partitions",
        "build_loss": "losses",
        "TrainConfig": "config.train_config",
        "load_dataset": "datasets",
        "nmi": "metrics.partitions",
        "pairwise_f1": "metrics.partitions",
        "recall_at_k": "metrics.recall",
        "retrieval_scores": "metrics.retrieval",
        "train": "training.run",
    },
)
