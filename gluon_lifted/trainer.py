"""fit: batches -> embeddings -> loss -> weights, on one device or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import RunError
from gluon_lifted.losses import LiftedStructureLoss
from gluon_lifted.mx import autograd, gluon, mx, nd
from gluon_lifted.nets.embedding import EmbeddingNet
from gluon_lifted.nets.zoo import backbone_initializer, build_backbone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from gluon_lifted.config import TrainConfig
    from gluon_lifted.loader import Batch

OPTIMIZER_ARGUMENTS = {"sgd": {"momentum": 0.9}, "adam": {}}  # momentum: the authors' solver
MAX_SKIPPED = 10
SEED_STRIDE = 1_000_003  # keeps the random streams of neighbouring seeds apart


class Trainer:
    """A network, its loss and its optimizer.

    With several devices each embeds its share of the batch; the embeddings are gathered, so that the loss sees
    every pair of the whole batch, and each device gets its rows of the loss's gradient back.

    Parameters
    ----------
    config : TrainConfig
        Numbers of the run.
    devices : list of Context
        MXNet contexts; the loss is computed on the first.
    """

    def __init__(self, config: TrainConfig, devices: list[Any]) -> None:
        self.config, self.devices = config, devices
        self.skipped = 0  # batches whose gradient was not finite, and so was not applied
        self._skipped_in_a_row = 0
        mx.random.seed(config.seed)
        self.net = EmbeddingNet(
            build_backbone(config.backbone, config.crop), config.dim, config.dropout, config.embedding_lr_mult
        )
        self.net.initialize(backbone_initializer(), ctx=devices)
        self.net.hybridize(static_alloc=True, static_shape=True)
        self.loss = LiftedStructureLoss(config.margin)
        self.loss.hybridize(static_alloc=True, static_shape=True)
        for device in devices:  # shapes are known, and weights drawn, after the first forward pass
            self.net(nd.zeros((1, 3, config.crop, config.crop), ctx=device))
        arguments = {"learning_rate": config.learning_rate, "wd": config.weight_decay}
        self.optimizer = gluon.Trainer(
            self.net.collect_params(),
            config.optimizer,
            arguments | OPTIMIZER_ARGUMENTS[config.optimizer],
            update_on_kvstore=False,
        )

    def step(self, batch: Batch, iteration: int) -> float:
        """Learn from one batch; return its loss. A batch whose gradient is not finite changes nothing.

        Raises
        ------
        RunError
            After `MAX_SKIPPED` such batches in a row: the weights themselves are beyond repair.
        """
        mx.random.seed((self.config.seed * SEED_STRIDE + iteration + 1) % 2**31)  # dropout: exact after a resume
        shards = np.array_split(np.arange(len(batch.labels)), len(self.devices))
        with autograd.record():
            embeddings = [
                self.net(nd.array(batch.images[rows[0] : rows[-1] + 1], ctx=device))
                for rows, device in zip(shards, self.devices, strict=True)
            ]
        loss, gradient = self._loss_and_gradient(embeddings, batch.labels)
        if not np.isfinite(gradient.asnumpy()).all():
            self._skip()
            return loss
        self._skipped_in_a_row = 0
        shares = [
            gradient[int(rows[0]) : int(rows[-1]) + 1].as_in_context(device)
            for rows, device in zip(shards, self.devices, strict=True)
        ]
        autograd.backward(embeddings, shares)
        self.optimizer.set_learning_rate(self.config.learning_rate_at(iteration))
        self.optimizer.step(1)  # the loss is a mean over pairs already
        return loss

    def _skip(self) -> None:
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row == MAX_SKIPPED:
            raise RunError(
                f"training has diverged: {MAX_SKIPPED} batches in a row had a gradient that is not finite; "
                f"train again with a lower --learning-rate (it is {self.config.learning_rate:g})."
            )

    def _loss_and_gradient(self, embeddings: list[Any], labels: NDArray[np.int64]) -> tuple[float, Any]:
        """Loss of the whole batch, and its gradient (B, D) on the first device."""
        home = self.devices[0]
        gathered = nd.concat(*(one.detach().as_in_context(home) for one in embeddings), dim=0)  # (B, D)
        gathered.attach_grad()
        with autograd.record():
            loss = self.loss(gathered, nd.array(labels, ctx=home))
        loss.backward()
        return float(loss.asscalar()), gathered.grad

    def embed(self, batches: Iterable[Batch]) -> NDArray[np.float32]:
        """Embeddings (N, D) of all batches in turn, dropout off."""
        return np.concatenate([self.net(nd.array(batch.images, ctx=self.devices[0])).asnumpy() for batch in batches])
