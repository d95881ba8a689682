"""Data sets: files on disk -> `ImageTable`s, split into classes to train on and classes never seen in training."""

from gluon_lifted.datasets.image_table import ImageTable, Splits
from gluon_lifted.datasets.registry import DATASETS, load_dataset

__all__ = ["DATASETS", "ImageTable", "Splits", "load_dataset"]
