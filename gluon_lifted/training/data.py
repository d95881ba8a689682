"""Data of a run: images to train on, images to measure recall on, and the sampler of batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_lifted.batches.samplers import (
    BalancedSampler,
    PairSampler,
    ShuffleSampler,
    TripletSampler,
)
from gluon_lifted.datasets import ImageTable, load_dataset
from gluon_lifted.datasets.image_table import require_trainable

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gluon_lifted.batches.samplers import Sampler
    from gluon_lifted.config.train_config import TrainConfig


@dataclass(frozen=True)
class TrainingData:
    """Images to train on, and images to measure recall on, which are held-out classes or the test images.

    Parameters
    ----------
    learned, watched, test : ImageTable
        Images to train on, images to measure recall on during training, and test images. Only the last two can be
        the same.
    watched_kind, watched_as : str
        ``"validation"`` or ``"test"``, and the description of the watched images.
    notes : tuple of str
        Sentences to show the user.
    """

    learned: ImageTable
    watched: ImageTable
    test: ImageTable
    watched_kind: str
    watched_as: str
    notes: tuple[str, ...] = ()


def load_data(config: TrainConfig) -> TrainingData:
    """Read the data set and hold out classes from training. Raises `DataError` if it cannot be trained on.

    Recall within a single class is always 1, so none is held out if the share is below two classes.
    """
    root = Path(config.data)
    splits = load_dataset(config.dataset, root, use_boxes=config.use_boxes)
    num_classes = len(splits.train.class_names)
    held_out = round(num_classes * config.validation_classes)
    held_out = held_out if held_out > 1 else 0
    learned, validation = splits.train.split_classes(num_classes - held_out)
    require_trainable(learned, root)
    watched, kind = (validation, "validation") if held_out else (splits.test, "test")
    watched_as = f"{len(watched):,} images of {len(watched.class_names)} {kind} classes"
    notes = (f"recall is measured on {watched_as}.",)
    return TrainingData(
        learned=learned,
        watched=watched,
        test=splits.test,
        watched_kind=kind,
        watched_as=watched_as,
        notes=(splits.note, *notes) if splits.note else notes,
    )


def build_sampler(config: TrainConfig, table: ImageTable) -> Sampler:
    """Build the configured sampler. Raises `ConfigError` or `DataError` if the images do not suit it."""
    if config.sampler == "balanced":
        return BalancedSampler(table.labels, config.classes_per_batch, config.images_per_class, config.seed)
    samplers: dict[str, Callable[[NDArray[np.int64], int, int], Sampler]] = {
        "pairs": PairSampler,
        "triplets": TripletSampler,
        "shuffle": ShuffleSampler,
    }
    return samplers[config.sampler](table.labels, config.batch_size, config.seed)


def batch_notes(config: TrainConfig, table: ImageTable, batch: int) -> list[str]:
    """List how batches differ from the configuration if classes are too few or too small."""
    if config.sampler != "balanced":
        return []
    notes = []
    if batch != config.batch_size:
        notes.append(
            f"batches have {batch} images instead of {config.batch_size}, because there are only "
            f"{len(table.class_names)} training classes."
        )
    smallest = int(table.images_per_class().min())
    if smallest < config.images_per_class:
        notes.append(
            f"the smallest class has {smallest} images, fewer than --images-per-class {config.images_per_class}, so "
            "some are repeated within a batch."
        )
    return notes
