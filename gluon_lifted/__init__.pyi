from .card import ModelCard as ModelCard
from .config.train_config import TrainConfig as TrainConfig
from .datasets import load_dataset as load_dataset
from .images import Preprocessing as Preprocessing
from .losses import AllPairsContrastiveLoss as AllPairsContrastiveLoss
from .losses import ContrastiveLoss as ContrastiveLoss
from .losses import GeneralizedLiftedStructureLoss as GeneralizedLiftedStructureLoss
from .losses import LiftedStructureLoss as LiftedStructureLoss
from .losses import MultiSimilarityLoss as MultiSimilarityLoss
from .losses import NormalizedSoftmaxLoss as NormalizedSoftmaxLoss
from .losses import ProxyAnchorLoss as ProxyAnchorLoss
from .losses import SemiHardTripletLoss as SemiHardTripletLoss
from .losses import TripletLoss as TripletLoss
from .losses import build_loss as build_loss
from .metrics.bootstrap import ClassBootstrap as ClassBootstrap
from .metrics.partitions import ami as ami
from .metrics.partitions import nmi as nmi
from .metrics.partitions import pairwise_f1 as pairwise_f1
from .metrics.ranking.search import Search as Search
from .metrics.retrieval import Scores as Scores
from .metrics.retrieval import recall_at_k as recall_at_k
from .metrics.retrieval import retrieval_scores as retrieval_scores
from .networks.embedding_net import EmbeddingNet as EmbeddingNet
from .networks.googlenet import GoogLeNet as GoogLeNet
from .training.run import train as train

__version__: str
