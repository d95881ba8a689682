"""Trainer: update the weights from batches, on the devices of one or several hosts."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.batches.device_batches import DeviceBatch, copied_ahead, to_devices
from gluon_lifted.distributed import ALONE
from gluon_lifted.errors import RunError
from gluon_lifted.images import center_crop
from gluon_lifted.images.interpolations import DEFAULT_INTERPOLATION
from gluon_lifted.losses import build_loss
from gluon_lifted.mx import autograd, mx, nd
from gluon_lifted.networks.backbones import backbone_initializer, build_backbone
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.pretrained.load_weights import load_weights
from gluon_lifted.training.batch_norm import BatchNormStatistics
from gluon_lifted.training.best_recall import BestRecall
from gluon_lifted.training.inference import infer
from gluon_lifted.training.loss_scale import LossScale
from gluon_lifted.training.optimizer import Optimizer
from gluon_lifted.training.precision import (
    FLOAT16,
    FLOAT32,
    as_float32,
    compute_type,
    require_computable,
    start_computing_in,
)
from gluon_lifted.training.proxies import set_proxy_rates, share_proxy_gradient
from gluon_lifted.training.size_note import size_note
from gluon_lifted.training.two_passes import TwoPasses
from gluon_lifted.training.weight_average import WeightAverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.batches.loader import Batch
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.distributed import Cluster
    from gluon_lifted.networks.pretrained.load_weights import WeightsReport

MAX_SKIPPED = 10  # consecutive batches; overflows in the search for a loss scale do not count
SEED_STRIDE = 1_000_003  # keeps the random streams of neighboring seeds apart
PROXY_STREAM = -1  # the random stream that draws proxies; iterations have streams from 1 on
SKIPPED, BEST = "skipped", "best"  # names in a state
WEIGHT, PROXY = "weight:", "proxy:"  # prefixes in a state; the optimizer's arrays have none


@dataclass
class Skipped:
    """Counts of skipped batches.

    Parameters
    ----------
    dead : int
        Batches with a gradient of zero.
    not_finite : int
        Batches whose gradient has NaN or infinity, also without a loss scale.
    in_a_row : int
        ``not_finite`` batches since the last applied one.
    """

    dead: int = 0
    not_finite: int = 0
    in_a_row: int = 0

    def count(self, *, applied: bool, dead: bool, searching: bool) -> None:
        """Count a batch by its outcome. Batches skipped while ``searching`` a loss scale do not count."""
        not_finite = not applied and not dead and not searching
        self.dead += dead
        self.not_finite += not_finite
        self.in_a_row = 0 if applied else self.in_a_row + not_finite

    def numbers(self) -> NDArray[np.float64]:
        """Return the three counts as an array, for a checkpoint."""
        return np.array([self.dead, self.not_finite, self.in_a_row], np.float64)


class _Sums(NamedTuple):
    """Loss, sum of its gradient's absolute values, and squared norm of the gradient of all parameters."""

    loss: float
    gradient: float
    squared_norm: float


class Trainer:
    """A network, its loss and its optimizer.

    The embeddings of all devices and hosts are gathered before the loss, which therefore compares each image with
    the entire batch, not only with its device's share.

    Parameters
    ----------
    config : TrainConfig
        Defines network, loss, optimizer and seed.
    devices : list of mx.Context
        Each gets an equal share of this host's part of a batch.
    cluster : Cluster, optional
        The hosts that train together.
    residual : ndarray, float32, (resize, resize, 3), optional
        Residual of a mean image. The network subtracts its center crop.
    num_classes : int
        Classes to train on, for losses with proxies.
    """

    def __init__(
        self,
        config: TrainConfig,
        devices: list[Any],
        cluster: Cluster = ALONE,
        residual: NDArray[np.float32] | None = None,
        num_classes: int = 0,
    ) -> None:
        self.config, self.devices, self.cluster = config, devices, cluster
        self.skipped, self.best = Skipped(), BestRecall()
        self.weights: WeightsReport | None = None  # set by `load_weights`
        self.loss = _traced_loss(config, devices, num_classes)
        self.dtype = compute_type(config, devices)
        start_computing_in(self.dtype)
        mx.random.seed(config.seed)
        backbone = build_backbone(config.backbone, config.crop, fixed_batch_norm=config.batch_norm == "fixed")
        center = None if residual is None else center_crop(residual, config.crop).transpose(2, 0, 1)[None]
        self.net = EmbeddingNet(backbone, config.dim, config.dropout, normalize=config.normalize, mean_residual=center)
        self.net.set_learning_rates(config.embedding_lr_mult, config.bias_lr_mult)
        self.net.initialize(backbone_initializer(), ctx=devices)
        self.net.hybridize(static_alloc=True, static_shape=True)
        shape = (1, 3, config.crop, config.crop)
        for device in devices:  # the first forward pass infers shapes and draws weights
            self.net(nd.zeros(shape, ctx=device))
        parameters = self.net.collect_params()
        self._statistics = BatchNormStatistics(parameters)
        if self.dtype != FLOAT32:
            untouched = self._statistics.copy()
            require_computable(self.net, shape, devices[0], self.dtype)
            self._statistics.restore(untouched)
        largest_share = math.ceil(config.batch_size / (len(devices) * cluster.size))
        several = 0 < config.images_at_a_time < largest_share  # else one pass does the same in less time
        self._passes = TwoPasses(self.net, config.images_at_a_time, self._seed_dropout) if several else None
        parameters.update(self.loss.collect_params())
        self._average = WeightAverage(_named(WEIGHT, self.net), config.average) if config.average else None
        self.optimizer = Optimizer(parameters, config, cluster, LossScale(dynamic=self.dtype == FLOAT16))

    def step(self, batch: Batch | DeviceBatch, iteration: int) -> float:
        """Train on one batch and return its loss. A gradient of zero, NaN or infinity changes nothing.

        The host waits for the devices once, when all gradients are queued.

        Raises
        ------
        RunError
            After `MAX_SKIPPED` batches in a row without a finite gradient: training has diverged.
        """
        if not isinstance(batch, DeviceBatch):
            batch = to_devices(batch, self.devices)
        statistics = self._statistics.copy()  # the backward pass changes them before the host knows of NaN
        loss, gradient = self._propagate(batch, iteration)
        sums = _read(loss, gradient, self.optimizer.sum_gradients())
        dead = self.cluster.any("dead batch", flag=sums.gradient == 0)  # no pair violates the margin, or there is none
        broken = self.cluster.any("not finite", flag=not np.isfinite(sums.gradient))
        searching = not broken and self.optimizer.scale.can_fall
        applied = not dead and not broken and self.optimizer.step(iteration, sums.squared_norm)
        if applied and self._average:
            self._average.update()
        if not applied:
            self._statistics.restore(statistics)
        self.skipped.count(applied=applied, dead=dead, searching=searching)
        if self.skipped.in_a_row == MAX_SKIPPED:
            raise RunError(
                f"training has diverged: the gradients of {MAX_SKIPPED} batches in a row contain NaN or infinity. "
                f"Train again with a lower --learning-rate (it is {self.config.learning_rate:g})."
            )
        return sums.loss

    def _propagate(self, batch: DeviceBatch, iteration: int) -> tuple[Any, Any]:
        """Compute the gradients of all parameters. Return the loss (1,), and its gradient (B, D)."""
        if self._passes:
            embeddings = self._passes.embed(batch.images, iteration)
            loss, gradient = self._loss_and_gradient(embeddings, batch)
            self._passes.backward(batch.images, self._shares(embeddings, gradient, batch), iteration)
            return loss, gradient
        self._seed_dropout(iteration)
        with autograd.record():
            embeddings = [as_float32(self.net(images)) for images in batch.images]
        loss, gradient = self._loss_and_gradient(embeddings, batch)
        autograd.backward(embeddings, self._shares(embeddings, gradient, batch))
        return loss, gradient

    def copied_ahead(self, batches: Iterable[Batch]) -> Iterator[DeviceBatch]:
        """Copy batches to the devices, each before training on the previous one."""
        return copied_ahead(batches, self.devices)

    def _seed_dropout(self, iteration: int) -> None:
        """Seed a stream per iteration and host, so that a resumed run draws the same as an uninterrupted one."""
        stream = (iteration + 1) * self.cluster.size + self.cluster.index
        mx.random.seed((self.config.seed * SEED_STRIDE + stream) % 2**31)

    def _shares(self, embeddings: list[Any], gradient: Any, batch: DeviceBatch) -> list[Any]:
        """Scale the gradients of the loss, (B, D), and of the proxies. Divide the former among the devices."""
        scale = self.optimizer.scale.value
        share_proxy_gradient(self.loss, scale if self.cluster.is_writer else 0.0)
        scaled = gradient * scale
        ends = batch.start + np.cumsum([len(embedding) for embedding in embeddings])
        return [
            scaled[int(end) - len(embedding) : int(end)].as_in_context(embedding.context)
            for end, embedding in zip(ends, embeddings, strict=True)
        ]

    def _loss_and_gradient(self, embeddings: list[Any], batch: DeviceBatch) -> tuple[Any, Any]:
        """Return the loss (1,) of the entire batch, and its gradient (B, D), both on the first device."""
        home = self.devices[0]
        own = nd.concat(*(embedding.detach().as_in_context(home) for embedding in embeddings), dim=0)  # (b, D)
        gathered = self._gathered(own, batch)  # (B, D)
        gathered.attach_grad()
        with autograd.record():
            loss = self.loss(gathered, batch.labels)
        loss.backward()
        return loss, gathered.grad

    def _gathered(self, own: Any, batch: DeviceBatch) -> Any:
        """Gather the embeddings of all hosts: each adds its rows to zeros."""
        if self.cluster.size == 1:
            return own
        padded = nd.zeros((len(batch.labels), own.shape[1]))
        padded[batch.start : batch.start + len(own)] = own.as_in_context(mx.cpu())
        return self.cluster.all_sum("embedding", padded).as_in_context(own.context)

    def load_weights(self, on_note: Callable[[str], None]) -> dict[str, str]:
        """Load trained weights and return the colors and interpolation to train with, by field of the configuration.

        Raises
        ------
        ConfigError, DataError
            If the weights cannot be read or downloaded, or belong to another network.
        """
        source = self.config.weights
        report = load_weights(self.net, source, self.config.backbone, on_note)
        on_note(str(report))
        self.weights = report
        used = {"colors": report.colors or "imagenet", "interpolation": report.interpolation or DEFAULT_INTERPOLATION}
        for name, expected in used.items():
            wanted = getattr(self.config, name)
            if wanted not in ("auto", expected):
                on_note(
                    f"{source}: these weights were trained with --{name} {expected}; this run uses --{name} {wanted}."
                )
                used[name] = wanted
        if note := size_note(report.preprocessing, self.config):
            on_note(f"{source}: {note}")
        return used

    def embed(self, batches: Iterable[Batch]) -> NDArray[np.float32]:
        """Embed all batches in order with the averaged weights, if any, and without dropout: (N, D)."""
        self._statistics.average()
        with self._averaged():
            outputs = list(infer(batches, self.devices, lambda images: (self.net(images),)))
        return np.concatenate([rows for (rows,) in outputs])

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Use the averaged weights, if weights are averaged, inside the block."""
        if self._average is None:
            yield
            return
        self._average.swap()
        try:
            yield
        finally:
            self._average.swap()

    def finish(self) -> None:
        """Replace the weights by the averaged ones, if weights are averaged."""
        if self._average is not None:
            self._statistics.average()
            self._average.swap()
            self._average = None

    def pool_and_embed(self, batches: Iterable[Batch]) -> Iterator[tuple[NDArray[np.float32], ...]]:
        """Yield pooled features of the backbone (b, C) and embedding (b, D) of each batch, without dropout."""
        self._statistics.average()
        return infer(batches, self.devices, self.net.pool_and_embed)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, proxies and optimizer state as arrays by name: the content of a checkpoint."""
        self._statistics.average()
        arrays = {name: parameter.list_data()[0].asnumpy() for name, parameter in self._trained().items()}
        averages = self._average.state() if self._average else {}
        counts = {SKIPPED: self.skipped.numbers(), BEST: self.best.numbers()}
        return arrays | averages | self.optimizer.state() | counts

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Restore what `state` returned. Raises KeyError or ValueError if it belongs to another network."""
        self.restore_weights(state)
        self.optimizer.restore(state)
        self.skipped, self.best = Skipped(*map(int, state[SKIPPED])), BestRecall.from_numbers(state[BEST])

    def restore_weights(self, state: dict[str, NDArray[Any]]) -> None:
        """Restore only weights, proxies and averages of what `state` returned. Raises as `restore` does."""
        trained = self._trained()
        for name, parameter in trained.items():
            if state[name].shape != parameter.shape:
                raise ValueError(f"{name} is {state[name].shape}, expected {parameter.shape}")
        for name, parameter in trained.items():
            parameter.set_data(nd.array(state[name], dtype=parameter.dtype))
        if self._average:
            self._average.restore(state)

    def _trained(self) -> dict[str, Any]:
        """Return the parameters of the network and the loss by their names in a state."""
        return _named(WEIGHT, self.net) | _named(PROXY, self.loss)


def _named(prefix: str, block: Any) -> dict[str, Any]:
    """Return the parameters of a block by names without Gluon's process-wide counters."""
    return {prefix + name: parameter for name, parameter in block._collect_params_with_prefix().items()}


def _traced_loss(config: TrainConfig, devices: list[Any], num_classes: int) -> Any:
    """Build the loss and its graph before mixed precision starts, which would put float16 into it."""
    loss = build_loss(config.loss, config.margin, num_classes, config.dim)
    mx.random.seed((config.seed * SEED_STRIDE + PROXY_STREAM) % 2**31)
    loss.initialize(ctx=devices)
    set_proxy_rates(loss, config.proxy_lr_mult)
    loss.hybridize(static_alloc=True, static_shape=True)
    home = devices[0]
    loss(nd.zeros((6, config.dim), ctx=home), nd.zeros((6,), ctx=home))  # 6 rows form pairs and triplets
    return loss


def _read(loss: Any, gradient: Any, squared_norm: Any) -> _Sums:
    """Read three numbers from the first device in one transfer, which waits for all that they depend on."""
    sums = nd.concat(loss.reshape(1), gradient.abs().sum(), squared_norm, dim=0)
    return _Sums(*sums.asnumpy().tolist())
