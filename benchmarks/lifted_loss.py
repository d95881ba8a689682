"""Measure the lifted structured loss, forward and backward, on a CPU: ours, PyTorch, pytorch-metric-learning.

    python benchmarks/lifted_loss.py [--sizes 128,256] [--pml-max 256] [--torch-python PATH]

Embeddings are (B, 64) float32, two images per class. Each framework runs in a process of its own (two OpenMP
runtimes in one process disturb each other), a new one per batch size, so that the peak memory belongs to that size.
The processes take turns, several rounds. Times are medians of all runs, next to the best run, because other work on the
host only adds time. The run fails if losses or gradients differ.

The second table has the peak memory that a size adds to its process, and the floor: `products`, the loss's two matrix
products alone (squared distances, and the gradient's C X), and `pass`, one addition of two (B, B) matrices, both in
MXNet, best runs. An implementation operator by operator cannot be faster than its products plus its passes. The last
column is the rest of our time in passes.

pytorch-metric-learning writes out every combination of two pairs: 3 GB at B = 512, eight times that at 1024.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib import util
from typing import Any

import numpy as np
from worker import Worker, answer, timed

DIM, MARGIN = 64, 1.0
ROUNDS = 3
SLOW_S = 10.0  # a first run that takes longer is the only run
Step = Callable[[], tuple[float, np.ndarray]]  # one forward and backward: loss, gradient


def batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(size).normal(size=(size, DIM)).astype("float32"), np.arange(size) // 2


def ours(size: int) -> Step:
    from gluon_lifted.losses import LiftedStructureLoss
    from gluon_lifted.mx import autograd, nd

    rows, classes = batch(size)
    embedding, label = nd.array(rows), nd.array(classes)
    embedding.attach_grad()
    net = LiftedStructureLoss(MARGIN)
    net.hybridize(static_alloc=True, static_shape=True)

    def step() -> tuple[float, np.ndarray]:
        with autograd.record():
            loss = net(embedding, label)
        loss.backward()
        return loss.asscalar(), embedding.grad.asnumpy()

    return step


def in_torch(size: int, make: Callable[[], Callable[[Any, Any], Any]]) -> Step:
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rows, classes = batch(size)
    embedding, label = torch.from_numpy(rows).requires_grad_(), torch.from_numpy(classes)
    loss_of = make()

    def step() -> tuple[float, np.ndarray]:
        embedding.grad = None
        loss = loss_of(embedding, label)
        loss.backward()
        return loss.item(), embedding.grad.numpy()

    return step


def torch_loss() -> Callable[[Any, Any], Any]:
    """Return the same O(B²) formula as a PyTorch user would write it."""
    import torch

    def loss_of(embedding: Any, label: Any) -> Any:
        distance = torch.cdist(embedding, embedding)
        same = label[:, None] == label
        positive = same & ~torch.eye(len(label), dtype=torch.bool)
        rows = torch.logsumexp((MARGIN - distance).masked_fill(same, -math.inf), dim=1)
        hinge = torch.relu(torch.logaddexp(rows[:, None], rows) + distance) * positive
        return (hinge * hinge).sum() / (2 * positive.sum())

    return loss_of


def pml_loss() -> Callable[[Any, Any], Any]:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import LiftedStructureLoss

    return LiftedStructureLoss(neg_margin=MARGIN, pos_margin=0, distance=LpDistance(normalize_embeddings=False))


def products(size: int) -> Step:
    from gluon_lifted.mx import nd

    embedding = nd.array(batch(size)[0])
    square, gradient = nd.zeros((size, size)), nd.zeros((size, DIM))

    def step() -> tuple[float, np.ndarray]:
        nd.dot(embedding, embedding, transpose_b=True, out=square)
        nd.dot(square, embedding, out=gradient)
        return 0.0, gradient.asnumpy()

    return step


def one_pass(size: int) -> Step:
    from gluon_lifted.mx import nd

    left, right, total = nd.ones((size, size)), nd.ones((size, size)), nd.zeros((size, size))

    def step() -> tuple[float, np.ndarray]:
        nd.elemwise_add(left, right, out=total)
        return 0.0, total[:1].asnumpy()

    return step


RUNNERS: dict[str, Callable[[int], Step]] = {
    "ours": ours,
    "torch": lambda size: in_torch(size, torch_loss),
    "pml": lambda size: in_torch(size, pml_loss),
    "products": products,
    "pass": one_pass,
}


COMPARED = ("ours", "torch", "pml")
TIME_HEADINGS = [
    "B",
    "ours ms",
    "torch ms",
    "pml ms",
    "ours/torch",
    "pml/ours",
    "best ours",
    "best torch",
    "ours/torch",
]
FLOOR_HEADINGS = ["B", "ours MB", "torch MB", "pml MB", "products ms", "pass ms", "passes"]


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(runner: str, size: int, seconds: float) -> None:
    """Run a worker process for one framework."""

    def start() -> Callable[[], dict[str, Any]]:
        step = RUNNERS[runner](size)
        before = peak_mb()
        started = time.perf_counter()
        loss, gradient = step()
        first = time.perf_counter() - started
        norm = float(np.linalg.norm(gradient))

        def one_round() -> dict[str, Any]:
            times = [first]
            if first < SLOW_S:
                step()  # wakes caches, clocks and thread pools after the rest
                times = timed(step, seconds)
            return {"times": times, "loss": float(loss), "norm": norm, "peak_mb": peak_mb() - before}

        return one_round

    answer(start)


def measure(size: int, options: argparse.Namespace) -> dict[str, Worker]:
    def worker(name: str) -> Worker:
        python = options.torch_python if name in {"torch", "pml"} else sys.executable
        arguments = ["--worker", name, "--sizes", str(size), "--seconds", str(options.seconds)]
        return Worker([python, __file__, *arguments], options.threads)

    workers = {name: worker(name) for name in RUNNERS if name != "pml" or size <= options.pml_max}
    for _ in range(ROUNDS):
        for process in workers.values():
            if not process.times or process.times[0] < SLOW_S:
                process.turn()
    for process in workers.values():
        process.close()
    return workers


def disagreement(workers: dict[str, Worker]) -> str:
    """Describe losses and gradient norms if they differ; empty if they agree."""
    answers = {name: workers[name].last for name in COMPARED if name in workers and workers[name].times}
    mine = answers.get("ours", {"loss": math.nan, "norm": math.nan})
    if all(math.isclose(last[key], mine[key], rel_tol=1e-4) for last in answers.values() for key in ("loss", "norm")):
        return ""
    return ", ".join(f"{name}: loss {last['loss']:.6g}, gradient {last['norm']:.6g}" for name, last in answers.items())


def cell(workers: dict[str, Worker], name: str, text: Callable[[Worker], str]) -> str:
    worker = workers.get(name)
    return "-" if worker is None else worker.trouble or text(worker)


def time_row(size: int, workers: dict[str, Worker]) -> list[str]:
    mine = workers["ours"]
    median = [cell(workers, name, lambda worker: f"{1e3 * worker.median:.2f}") for name in COMPARED]
    ratio = cell(workers, "torch", lambda worker: f"{mine.median / worker.median:.2f}")
    factor = cell(workers, "pml", lambda worker: f"{worker.median / mine.median:.0f}")
    best = [cell(workers, name, lambda worker: f"{1e3 * worker.best:.2f}") for name in COMPARED[:2]]
    best_ratio = cell(workers, "torch", lambda worker: f"{mine.best / worker.best:.2f}")
    return [str(size), *median, ratio, factor, *best, best_ratio]


def floor_row(size: int, workers: dict[str, Worker]) -> list[str]:
    memory = [cell(workers, name, lambda worker: f"{worker.last['peak_mb']:.0f}") for name in COMPARED]
    bare = [cell(workers, name, lambda worker: f"{1e3 * worker.best:.3f}") for name in ("products", "pass")]
    rest = workers["ours"].best - workers["products"].best
    return [str(size), *memory, *bare, f"{rest / workers['pass'].best:.0f}"]


def line(cells: list[str]) -> str:
    return "  ".join(f"{text:>13}" for text in cells)


def options_from(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time of the lifted structured loss, forward and backward, CPU.")
    parser.add_argument("--sizes", default="128,256,512,1024,2048,4096", help="batch sizes (%(default)s)")
    parser.add_argument("--pml-max", type=int, default=256, help="largest batch for pytorch-metric-learning")
    parser.add_argument("--torch-python", default=sys.executable, metavar="PATH", help="interpreter with PyTorch")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each process (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="minimum seconds per round (%(default)s)")
    parser.add_argument("--worker", choices=list(RUNNERS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.worker and util.find_spec("mxnet") is None:
        parser.error("this interpreter has no MXNet; run with one that has it, and give PyTorch's with --torch-python")
    options.sizes = [int(size) for size in options.sizes.split(",")]
    return options


def main() -> int:
    options = options_from(sys.argv[1:])
    if options.worker:
        work(options.worker, options.sizes[0], options.seconds)
        return 0
    print(line(TIME_HEADINGS), flush=True)
    same, floor = True, [FLOOR_HEADINGS]
    for size in options.sizes:
        workers = measure(size, options)
        print(line(time_row(size, workers)), flush=True)
        floor.append(floor_row(size, workers))
        if difference := disagreement(workers):
            same = False
            print(f"B = {size}: they differ: {difference}", flush=True)
    print("", *map(line, floor), "", sep="\n")
    print("All losses and gradient norms agree to 1e-4." if same else "FAILED: losses or gradients differ.")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
