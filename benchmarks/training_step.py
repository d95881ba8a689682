"""Measure images per second of an entire training step on a CPU: ours and eager PyTorch, same layers and batch.

    python benchmarks/training_step.py [--torch-python PATH] [--threads 2]

A step is forward pass, lifted structured loss, backward pass and SGD (momentum 0.9, weight decay) on 32 images of
224 x 224 px. `googlenet` is Szegedy et al.'s network with local response normalization, `googlenet_bn` GluonCV's with
batch norm. PyTorch's versions are below; they run in its default layout and in `channels_last`, with the O(B²) loss of
`lifted_loss.py`. Each runs in a process of its own; they take turns, several rounds.

The run fails if the networks differ: all start from the same weights, and must have the same number of parameters,
the same loss, and the same gradient norm at the first convolution, which depends on all layers. Inputs have Caffe's
scale, pixels minus their mean, because local response normalization has no effect on smaller inputs. The learning rate
is almost 0, so that every step does the same work.

The limit is the floating-point operations of the convolutions over the rate of a large matrix product (NumPy, best
run). The last column is the share of that limit that the best step reaches.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from importlib import util
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from lifted_loss import torch_loss
from worker import Worker, answer, timed

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH, CROP, PIXEL_STD = 32, 224, 60.0
ROUNDS, PRODUCT = 3, 2048  # rounds; side of the multiplied matrices
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-12, 0.9, 2e-4
BACKBONES = ("googlenet", "googlenet_bn")
# Szegedy et al. 2015, Table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Step(NamedTuple):
    """``run`` takes a step, returns its loss. ``gradient``: norm at the first convolution. ``flop``: 0 if unknown."""

    run: Callable[[], float]
    gradient: Callable[[], float]
    parameters: int
    flop: int = 0


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Draw images (B, 3, 224, 224) float32, two per class, and classes (B,)."""
    images = np.random.default_rng(0).normal(scale=PIXEL_STD, size=(BATCH, 3, CROP, CROP))
    return images.astype("float32"), np.arange(BATCH) // 2


def drawn(index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Draw weight number ``index`` of every network from He et al.'s N(0, 2 / fan-in). Vectors keep 0 and 1."""
    scale = math.sqrt(2 / math.prod(shape[1:]))
    return np.random.default_rng(index).normal(scale=scale, size=shape).astype("float32")


def ours(backbone: str) -> Step:
    from gluon_lifted.batches.loader import Batch
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.mx import mx, nd
    from gluon_lifted.training.trainer import Trainer

    config = TrainConfig(
        backbone=backbone,
        crop=CROP,
        batch_size=BATCH,
        images_per_class=2,
        dropout=0.0,
        optimizer="sgd",
        momentum=MOMENTUM,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        schedule="constant",
    )
    trainer = Trainer(config, [mx.cpu()])
    trained = [parameter for parameter in trainer.net.collect_params().values() if parameter.grad_req != "null"]
    matrices = [parameter for parameter in trained if len(parameter.shape) > 1]
    for index, parameter in enumerate(matrices):
        parameter.set_data(nd.array(drawn(index, parameter.shape)))
    images = Batch(*batch())

    def step() -> float:
        loss = trainer.step(images, 0)
        nd.waitall()  # the update is asynchronous
        return loss

    size = sum(math.prod(parameter.shape) for parameter in trained)
    return Step(step, lambda: matrices[0].grad().norm().asscalar(), size)


def torch_network(backbone: str) -> Any:
    """Build images -> embeddings (B, 64), layer by layer as ours: `googlenet_bn` has 3x3 for 5x5, and no LRN."""
    import torch
    from torch import nn

    norm = backbone == "googlenet_bn"

    def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> Any:
        layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not norm)
        return nn.Sequential(layer, *([nn.BatchNorm2d(outputs, eps=1e-3)] if norm else []), nn.ReLU(inplace=True))

    def pool(kernel: int = 3) -> Any:
        return nn.MaxPool2d(kernel, 2, ceil_mode=True)

    def lrn() -> list[Any]:
        return [] if norm else [nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)]

    class Branches(nn.ModuleList):
        def forward(self, x: Any) -> Any:
            return torch.cat([branch(x) for branch in self], dim=1)

    layers = [conv(3, 64, 7, 2), pool(), *lrn(), conv(64, 64, 1), conv(64, 192, 3), *lrn(), pool()]
    width = 192
    for name, (conv1, reduce3, conv3, reduce5, conv5, projected) in INCEPTION.items():
        branch3 = nn.Sequential(conv(width, reduce3, 1), conv(reduce3, conv3, 3))
        branch5 = nn.Sequential(conv(width, reduce5, 1), conv(reduce5, conv5, 3 if norm else 5))
        pool_branch = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(width, projected, 1))
        layers.append(Branches([conv(width, conv1, 1), branch3, branch5, pool_branch]))
        width = conv1 + conv3 + conv5 + projected
        if name in ("3b", "4e"):
            layers.append(pool(2 if norm and name == "4e" else 3))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 64))


def torch_flop(network: Any) -> int:
    """Count the operations of a step's convolutions: 2 per multiply-add, 3 passes; no gradient of the images."""
    import torch

    multiply_adds: list[int] = []

    def count(layer: Any, _: object, out: Any) -> None:
        multiply_adds.append(layer.weight.numel() * out.shape[2] * out.shape[3])

    hooks = [layer.register_forward_hook(count) for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, CROP, CROP))
    network.train()
    for hook in hooks:
        hook.remove()
    return 2 * BATCH * (3 * sum(multiply_adds) - multiply_adds[0])


def in_torch(backbone: str, layout: str) -> Step:
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    memory_format = getattr(torch, layout)
    network = torch_network(backbone)
    flop = torch_flop(network)
    parameters = list(network.parameters())
    matrices = [parameter for parameter in parameters if parameter.ndim > 1]
    with torch.no_grad():
        for index, parameter in enumerate(matrices):
            parameter.copy_(torch.from_numpy(drawn(index, tuple(parameter.shape))))
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    network = network.to(memory_format=memory_format)
    optimizer = torch.optim.SGD(parameters, LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    loss_of, (images, classes) = torch_loss(), map(torch.from_numpy, batch())

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(network(images.contiguous(memory_format=memory_format)), classes)
        loss.backward()
        optimizer.step()
        return loss.item()

    size = sum(parameter.numel() for parameter in parameters)
    return Step(step, lambda: matrices[0].grad.norm().item(), size, flop)


def product(_: str) -> Step:
    matrix = np.ones((PRODUCT, PRODUCT), np.float32)
    return Step(lambda: float((matrix @ matrix)[0, 0]), lambda: 0.0, 0, 2 * PRODUCT**3)


COMPARED: dict[str, Callable[[str], Step]] = {
    "ours": ours,
    "torch": lambda backbone: in_torch(backbone, "contiguous_format"),
    "torch channels_last": lambda backbone: in_torch(backbone, "channels_last"),
}
RUNNERS = {**COMPARED, "product": product}
HEADINGS = ["network", "step of", "images/s", "x torch", "best", "x torch", "of limit"]


def work(runner: str, backbone: str, seconds: float) -> None:
    def start() -> Callable[[], dict[str, Any]]:
        step = RUNNERS[runner](backbone)
        step.run()  # compiles, allocates

        def one_round() -> dict[str, Any]:
            loss = step.run()  # wakes caches, clocks and thread pools after the rest
            known = {"loss": loss, "gradient": float(step.gradient()), "parameters": step.parameters, "flop": step.flop}
            return {"times": timed(step.run, seconds, least=2), **known}

        return one_round

    answer(start)


def measure(backbone: str, options: argparse.Namespace) -> dict[str, Worker]:
    def worker(runner: str) -> Worker:
        python = options.torch_python if runner.startswith("torch") else sys.executable
        arguments = ["--worker", runner, "--backbones", backbone, "--seconds", str(options.seconds)]
        return Worker([python, __file__, *arguments], options.threads)

    workers = {runner: worker(runner) for runner in RUNNERS}
    for _ in range(ROUNDS):
        for process in workers.values():
            process.turn()
    for process in workers.values():
        process.close()
    return workers


def row(backbone: str, runner: str, workers: dict[str, Worker]) -> list[str]:
    mine, torch, peak = workers[runner], workers["torch"], workers["product"]
    if mine.trouble:
        return [backbone, runner, mine.trouble, *["-"] * 4]
    cells = [f"{BATCH / mine.median:.1f}", "-", f"{BATCH / mine.best:.1f}", "-", "-"]
    if not torch.trouble:
        share = torch.last["flop"] / mine.best * peak.best / peak.last["flop"]
        cells[1::2] = f"{torch.median / mine.median:.2f}", f"{torch.best / mine.best:.2f}"
        cells[4] = f"{share:.0%}"
    return [backbone, runner, *cells]


def disagreement(workers: dict[str, Worker]) -> str:
    """Describe the networks' results if they differ; empty if they agree."""
    answers = [(runner, workers[runner].last) for runner in COMPARED if not workers[runner].trouble]
    keys = ("parameters", "loss", "gradient")
    if answers and all(
        math.isclose(last[key], answers[0][1][key], rel_tol=5e-3) for _, last in answers for key in keys
    ):
        return ""
    return "; ".join(f"{runner}: " + ", ".join(f"{key} {last[key]:.7g}" for key in keys) for runner, last in answers)


def line(cells: list[str]) -> str:
    return f"{cells[0]:<14}{cells[1]:<21}" + "".join(f"{text:>15}" for text in cells[2:])


def options_from(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Images per second of a training step on a CPU.")
    parser.add_argument("--backbones", default=",".join(BACKBONES), help="comma-separated networks (%(default)s)")
    parser.add_argument("--torch-python", default=sys.executable, metavar="PATH", help="interpreter with PyTorch")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each process (%(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="minimum seconds per round (%(default)s)")
    parser.add_argument("--worker", choices=list(RUNNERS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.worker and util.find_spec("mxnet") is None:
        parser.error("this interpreter has no MXNet; run with one that has it, and give PyTorch's with --torch-python")
    return options


def main() -> int:
    options = options_from(sys.argv[1:])
    if options.worker:
        work(options.worker, options.backbones, options.seconds)
        return 0
    print(f"B = {BATCH}, 3 x {CROP} x {CROP} px, float32, {options.threads} threads\n{line(HEADINGS)}", flush=True)
    notes, same = [], True
    for backbone in options.backbones.split(","):
        workers = measure(backbone, options)
        print(*(line(row(backbone, runner, workers)) for runner in COMPARED), sep="\n", flush=True)
        peak, flop = workers["product"], workers["torch"].last.get("flop", math.nan)
        notes.append(f"{backbone}: {flop / 1e9:.0f} GFLOP a step, {peak.last['flop'] / peak.best / 1e9:.0f} GFLOP/s.")
        if difference := disagreement(workers):
            same = False
            notes.append(f"{backbone}: FAILED, the networks differ: {difference}.")
    print("", *notes, *(["Parameters, losses and gradients agree to 5e-3."] if same else []), sep="\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
