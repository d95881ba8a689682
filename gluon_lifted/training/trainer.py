"""Trainer: update the weights from batches, on the devices of one or several hosts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.distributed import ALONE
from gluon_lifted.errors import ConfigError, RunError
from gluon_lifted.images import center_crop
from gluon_lifted.images.interpolations import DEFAULT_INTERPOLATION
from gluon_lifted.losses import build_loss
from gluon_lifted.mx import (
    autograd,
    mx,
    nd,
    start_mixed_precision,
)
from gluon_lifted.networks.backbones import backbone_initializer, build_backbone
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.pretrained.load_weights import load_weights
from gluon_lifted.training.best_recall import BestRecall
from gluon_lifted.training.optimizer import Optimizer
from gluon_lifted.training.proxies import set_proxy_rates, share_proxy_gradient
from gluon_lifted.training.weight_average import WeightAverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.batches.loader import Batch
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.distributed import Cluster
    from gluon_lifted.networks.pretrained.load_weights import WeightsReport

MAX_SKIPPED = 10  # consecutive batches
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
        Batches whose gradient has NaN or infinity.
    in_a_row : int
        ``not_finite`` batches since the last applied one.
    """

    dead: int = 0
    not_finite: int = 0
    in_a_row: int = 0

    def count(self, *, applied: bool, dead: bool) -> None:
        """Count a batch by its outcome."""
        self.dead += dead
        self.not_finite += not applied and not dead
        self.in_a_row = 0 if applied else self.in_a_row + (not dead)

    def numbers(self) -> NDArray[np.float64]:
        """Return the three counts as an array, for a checkpoint."""
        return np.array([self.dead, self.not_finite, self.in_a_row], np.float64)


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
        _start_mixed_precision(config, devices)
        mx.random.seed(config.seed)
        backbone = build_backbone(config.backbone, config.crop, fixed_batch_norm=config.batch_norm == "fixed")
        center = None if residual is None else center_crop(residual, config.crop).transpose(2, 0, 1)[None]
        self.net = EmbeddingNet(backbone, config.dim, config.dropout, normalize=config.normalize, mean_residual=center)
        self.net.set_learning_rates(config.embedding_lr_mult, config.bias_lr_mult)
        self.net.initialize(backbone_initializer(), ctx=devices)
        self.net.hybridize(static_alloc=True, static_shape=True)
        for device in devices:  # the first forward pass infers shapes and draws weights
            self.net(nd.zeros((1, 3, config.crop, config.crop), ctx=device))
        parameters = self.net.collect_params()
        self._statistics = [
            parameter for name, parameter in parameters.items() if name.endswith(("running_mean", "running_var"))
        ]
        parameters.update(self.loss.collect_params())
        self._average = WeightAverage(_named(WEIGHT, self.net), config.average) if config.average else None
        self.optimizer = Optimizer(parameters, config, cluster)

    def step(self, batch: Batch, iteration: int) -> float:
        """Train on one batch and return its loss. A gradient of zero, NaN or infinity changes nothing.

        Raises
        ------
        RunError
            After `MAX_SKIPPED` batches in a row without a finite gradient: training has diverged.
        """
        self._seed_dropout(iteration)
        before = [[copy.copy() for copy in parameter.list_data()] for parameter in self._statistics]
        device_rows = np.array_split(np.arange(len(batch.images)), len(self.devices))
        with autograd.record():
            embeddings = [
                self.net(nd.array(batch.images[rows[0] : rows[-1] + 1], ctx=device))
                for rows, device in zip(device_rows, self.devices, strict=True)
            ]
        loss, gradient = self._loss_and_gradient(embeddings, batch)
        largest = float(np.abs(gradient.asnumpy()).max())
        dead = self.cluster.any("dead batch", flag=largest == 0)  # no pair violates the margin, or there is none
        applied = False
        if not dead and not self.cluster.any("not finite", flag=not np.isfinite(largest)):
            self._backward(embeddings, gradient, device_rows, batch)
            applied = self.optimizer.step(iteration)
            if applied and self._average:
                self._average.update()
        if not applied:
            self._restore_batch_norm(before)
        self.skipped.count(applied=applied, dead=dead)
        if self.skipped.in_a_row == MAX_SKIPPED:
            raise RunError(
                f"training has diverged: {MAX_SKIPPED} batches in a row had a gradient that is not finite; "
                f"train again with a lower --learning-rate (it is {self.config.learning_rate:g})."
            )
        return loss

    def _restore_batch_norm(self, statistics: list[list[Any]]) -> None:
        """Restore batch norm's statistics, which a backward pass has changed; NaN would stay in them for good."""
        for parameter, copies in zip(self._statistics, statistics, strict=True):
            for now, before in zip(parameter.list_data(), copies, strict=True):
                before.copyto(now)

    def _average_batch_norm(self) -> None:
        """Average batch norm's statistics over devices, as each has seen other images."""
        if len(self.devices) > 1:
            for parameter in self._statistics:
                parameter.set_data(parameter._reduce())

    def _seed_dropout(self, iteration: int) -> None:
        """Seed a stream per iteration and host, so that a resumed run draws the same as an uninterrupted one."""
        stream = (iteration + 1) * self.cluster.size + self.cluster.index
        mx.random.seed((self.config.seed * SEED_STRIDE + stream) % 2**31)

    def _backward(
        self, embeddings: list[Any], gradient: Any, device_rows: list[NDArray[np.intp]], batch: Batch
    ) -> None:
        share_proxy_gradient(self.loss, self.optimizer.gradient_scale if self.cluster.is_writer else 0.0)
        scaled = gradient * self.optimizer.gradient_scale
        shares = [
            scaled[batch.start + int(rows[0]) : batch.start + int(rows[-1]) + 1]
            .astype(embedding.dtype)
            .as_in_context(device)
            for rows, device, embedding in zip(device_rows, self.devices, embeddings, strict=True)
        ]
        autograd.backward(embeddings, shares)

    def _loss_and_gradient(self, embeddings: list[Any], batch: Batch) -> tuple[float, Any]:
        """Return the loss of the entire batch, and its gradient (B, D) on the first device."""
        home = self.devices[0]
        own = nd.concat(
            *(embedding.detach().as_in_context(home).astype("float32") for embedding in embeddings), dim=0
        )  # (b, D)
        gathered = self._gathered(own, batch)  # (B, D)
        gathered.attach_grad()
        with autograd.record():
            loss = self.loss(gathered, nd.array(batch.labels, ctx=home))
        loss.backward()
        return float(loss.asscalar()), gathered.grad

    def _gathered(self, own: Any, batch: Batch) -> Any:
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
                on_note(f"{source}: was trained with --{name} {expected}; training continues with --{name} {wanted}.")
                used[name] = wanted
        return used

    def embed(self, batches: Iterable[Batch]) -> NDArray[np.float32]:
        """Embed all batches in order with the averaged weights, if any, and without dropout: (N, D)."""
        self._average_batch_norm()
        with self._averaged():
            embedding = [self.net(nd.array(batch.images, ctx=self.devices[0])).asnumpy() for batch in batches]
        return np.concatenate([rows.astype(np.float32) for rows in embedding])

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Let the network have the averaged weights, if weights are averaged, in the block."""
        if self._average is None:
            yield
            return
        self._average.swap()
        try:
            yield
        finally:
            self._average.swap()

    def finish(self) -> None:
        """Let the network have the averaged weights, if weights are averaged, for good."""
        if self._average is not None:
            self._average_batch_norm()
            self._average.swap()
            self._average = None

    def pool_and_embed(self, batches: Iterable[Batch]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Yield pooled features of the backbone (b, C) and embedding (b, D) of each batch, without dropout.

        They are computed on the first device. `freeze` may have moved the network to the CPU: it is moved back.
        """
        if self.net.embedding.weight.list_ctx() != self.devices:
            self.net.collect_params().reset_ctx(self.devices)
        self._average_batch_norm()
        for batch in batches:
            pooled, embedding = self.net.pool_and_embed(nd.array(batch.images, ctx=self.devices[0]))
            yield pooled.asnumpy().astype(np.float32), embedding.asnumpy().astype(np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, proxies and optimizer state as arrays by name: the content of a checkpoint."""
        self._average_batch_norm()
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


def _start_mixed_precision(config: TrainConfig, devices: list[Any]) -> None:
    """Let MXNet cast to float16 where it is safe: before the network is built, and for the whole process."""
    if not config.amp:
        return
    if any(device.device_type != "gpu" for device in devices):
        raise ConfigError("--amp needs GPUs; train on --device gpu, or omit --amp.")
    start_mixed_precision()
