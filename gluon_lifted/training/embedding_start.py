"""Start the embedding layer as whitened principal components of the training images' features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.losses.known_losses import LOSSES
from gluon_lifted.networks.whitening import Moments, require_features, whitened_layer
from gluon_lifted.progress import open_progress
from gluon_lifted.training.inference import BATCH, infer

if TYPE_CHECKING:
    from gluon_lifted.batches.loader import ImageLoader
    from gluon_lifted.training.run import Hooks
    from gluon_lifted.training.trainer import Trainer

MAX_IMAGES = 20_000  # ten for each of 2,048 features: covariances of more images hardly differ


def start_from_pca(trainer: Trainer, loader: ImageLoader, hooks: Hooks) -> None:
    """Set the embedding layer of a trainer's network; see `gluon_lifted.networks.whitening.whitened_layer`.

    A layer that came with the weights is kept. At most `MAX_IMAGES` images are used, drawn by the run's seed.

    Raises
    ------
    ConfigError, DataError
        If there are fewer features than the embedding has dimensions, or they are all equal or not finite.
    """
    config, net = trainer.config, trainer.net
    if trainer.weights is not None and net.embedding.weight.name in trainer.weights.used:
        hooks.on_note("the weights include an embedding layer, so --embedding-init pca has no effect.")
        return
    width = net.embedding.weight.shape[1]  # C
    require_features(width, config.dim)
    rows = np.arange(len(loader.table))
    if len(rows) > MAX_IMAGES:
        rows = np.sort(np.random.default_rng(config.seed).permutation(len(rows))[:MAX_IMAGES])
    hooks.on_note(f"the embedding layer starts as whitened principal components of {len(rows):,} training images.")
    moments = Moments(width)
    batches = loader.test_batches(BATCH, rows)
    with open_progress("measure features", len(rows)) as progress:
        for (pooled,) in infer(batches, trainer.devices, lambda images: (net.pool(images),)):
            moments.add(pooled)
            progress.update(moments.count)
    distance = config.init_distance * LOSSES[config.loss].as_distance(config.margin)
    net.set_embedding_layer(*whitened_layer(moments, config.dim, distance, config.seed))
