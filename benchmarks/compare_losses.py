"""Compare lifted structured, contrastive and triplet loss at equal budget: recall and NMI on unseen classes.

    python benchmarks/compare_losses.py --data CARS196 --work /tmp/losses [--jobs 2]

For each loss and seed: train, export to ONNX, embed the test images with onnxruntime, measure. Backbone, images,
batches, augmentation, optimizer, schedule and number of iterations are the same for all. Batches are P classes x K
images, and every loss uses all pairs or triplets of the batch. Only the learning rate and unit length are chosen per
loss: by the best recall@1 of short pilot runs on a fifth of the training classes, held out. The test classes decide
nothing.

Each run is a single-threaded process, so that its result does not depend on other processes. An interrupted command
resumes where it stopped. It writes results/compare_losses.md and .json next to this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

RESULTS = Path(__file__).parent / "results"
RATES = (1e-3, 3e-3)
FORMS = {  # margins without and with unit length: Song et al. 2016, Hadsell et al. 2006, Schroff et al. 2015
    "lifted": (1.0, 1.0),
    "contrastive-all": (1.0, 1.0),
    "triplet-semihard": (1.0, 0.2),
}
SEEDS = (0, 1, 2)
KS = (1, 2, 4, 8)
COLUMNS = [*(f"R@{k}" for k in KS), "NMI"]


class Choice(NamedTuple):
    """Settings of a pilot: learning rate, unit length and its margin."""

    rate: float
    normalize: bool
    margin: float

    def __str__(self) -> str:
        return f"{self.rate:g}{', unit length' if self.normalize else ''}"


def choices(loss: str) -> list[Choice]:
    return [Choice(rate, bool(unit), FORMS[loss][unit]) for unit in (0, 1) for rate in RATES]


def config_for(options: argparse.Namespace, loss: str, choice: Choice, seed: int, *, pilot: bool = False) -> Any:
    from gluon_lifted.config.train_config import TrainConfig

    config = TrainConfig(
        options.dataset,
        str(options.data),
        loss=loss,
        learning_rate=choice.rate,
        normalize=choice.normalize,
        margin=choice.margin,
        seed=seed,
        resize=54,
        crop=48,
        batch_size=64,
        images_per_class=8,
        iterations=options.iterations,
        validation_classes=0.0,
        eval_every=0,
        checkpoint_every=100,
    )
    return replace(config, iterations=options.pilot_iterations, validation_classes=0.2) if pilot else config


def train_run(config: Any, run: Path) -> float | None:
    """Train, resume, or do nothing if it is finished; return recall@1 on the held-out classes."""
    from gluon_lifted.training.checkpoint import checkpoints
    from gluon_lifted.training.run import Hardware, train

    done = run / "done.json"
    if not done.exists():
        resume = bool(checkpoints(run))
        if not resume:
            (run / "config.json").unlink(missing_ok=True)
        report = train(config, run, Hardware("cpu", 1), resume=resume)
        done.write_text(json.dumps({"recall": report.recall, "seconds": report.seconds}))
    return json.loads(done.read_text())["recall"]


def measured(embedding: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return recall@k and NMI in percent."""
    from gluon_lifted.metrics.clustering import cluster_scores
    from gluon_lifted.metrics.retrieval import recall_at_k

    recalls = {f"R@{k}": 100 * value for k, value in recall_at_k(embedding, labels, KS).items()}
    return recalls | {"NMI": 100 * cluster_scores(embedding, labels, seed=0).nmi}


def evaluated(options: argparse.Namespace, run: Path) -> dict[str, float]:
    """Export a run, embed the data set's test images with the exported file, and measure."""
    from export import export_run
    from gluon_lifted.datasets import load_dataset
    from serve_cli.embed.decoding import Decoding
    from serve_cli.embed.embed_rows import collect, embed_rows
    from serve_cli.model.embedder import Embedder
    from serve_cli.model.model_options import ModelOptions
    from serve_cli.sources.resolve import dataset_source

    model = run / "model.onnx"
    if not model.exists():
        export_run(run, model)
    embedder = Embedder(model, ModelOptions(threads=1))
    table = load_dataset(options.dataset, options.data).test
    embedded = collect(embed_rows(embedder, dataset_source(table, options.data), 32, Decoding(1)), embedder.card.dim)
    failed = [error for error in embedded.errors if error]
    if failed:
        raise SystemExit(f"{len(failed)} test images could not be read; the first: {failed[0]}")
    return measured(embedded.embedding, table.labels)


def pixel_baseline(options: argparse.Namespace) -> dict[str, float]:
    from gluon_lifted.datasets import load_dataset
    from gluon_lifted.metrics.baselines import pixel_thumbnails

    table = load_dataset(options.dataset, options.data).test
    return measured(pixel_thumbnails(table.paths), table.labels)


def work(options: argparse.Namespace, job: dict[str, Any]) -> None:
    """Run one job and write its result to a file."""
    path = options.work / f"{job['name']}.json"
    run = options.work / job["name"]
    if job["kind"] == "pixels":
        result: Any = pixel_baseline(options)
    elif job["kind"] == "pilot":
        result = train_run(config_for(options, job["loss"], Choice(*job["choice"]), 0, pilot=True), run)
    else:
        config = config_for(options, job["loss"], Choice(*job["choice"]), job["seed"])
        train_run(replace(config, iterations=0) if job["kind"] == "untrained" else config, run)
        result = evaluated(options, run)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result))
    temporary.replace(path)


def run_jobs(options: argparse.Namespace, jobs: list[dict[str, Any]]) -> list[Any]:
    """Run jobs in processes, ``--jobs`` at a time, and return their results in order. Finished jobs are skipped."""
    environment = {**os.environ, **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}}

    def result(job: dict[str, Any]) -> Any:
        path = options.work / f"{job['name']}.json"
        if not path.exists():
            began = time.monotonic()
            command = [sys.executable, __file__, *sys.argv[1:], "--worker", json.dumps(job)]
            with (options.work / f"{job['name']}.log").open("w") as log:
                subprocess.run(command, env=environment, stdout=log, stderr=log, check=True)
            print(f"{job['name']}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        return json.loads(path.read_text())

    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(result, jobs))


def pilot_recalls(options: argparse.Namespace) -> dict[str, dict[Choice, float]]:
    """Return the pilots' recall@1 for each loss and choice."""
    tried = [(loss, choice) for loss in FORMS for choice in choices(loss)]
    jobs = [
        {"kind": "pilot", "name": f"pilot-{loss}-{choice.rate:g}-{choice.normalize:d}", "loss": loss, "choice": choice}
        for loss, choice in tried
    ]
    recalls = dict(zip(tried, run_jobs(options, jobs), strict=True))
    return {loss: {choice: recalls[loss, choice] for choice in choices(loss)} for loss in FORMS}


def spread(values: list[float]) -> str:
    """Format mean and standard deviation over the seeds."""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def results_table(chosen: dict[str, Choice], results: dict[str, list[dict[str, float]]]) -> str:
    lines = [f"| embedding | learning rate | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name, runs in results.items():
        cells = [spread([run[column] for run in runs]) for column in COLUMNS]
        lines.append(f"| {name} | {chosen.get(name, '-')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pilots_table(pilots: dict[str, dict[Choice, float]]) -> str:
    columns = [str(choice) for choice in choices("lifted")]
    lines = [f"| loss | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for loss, recalls in pilots.items():
        lines.append(f"| {loss} | {' | '.join(f'{100 * value:.2f}' for value in recalls.values())} |")
    return "\n".join(lines)


def hardware() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, one thread a run"


def commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def write_results(
    options: argparse.Namespace,
    pilots: dict[str, dict[Choice, float]],
    chosen: dict[str, Choice],
    results: dict[str, list[dict[str, float]]],
) -> str:
    table = results_table(chosen, results)
    config = asdict(replace(config_for(options, "lifted", chosen["lifted"], 0), data=""))
    differs = ("loss", "learning_rate", "normalize", "margin", "seed", "data")
    same = {name: value for name, value in config.items() if name not in differs}
    text = f"""# Losses at equal budget

Written by `python benchmarks/compare_losses.py --dataset {options.dataset} --data {options.data.name} --work WORK
--iterations {options.iterations} --pilot-iterations {options.pilot_iterations}`, commit {commit()}, on {hardware()}.

Percent, on the data set's test classes, which are disjoint from the training classes. Every image is a query, all
others are its gallery. Mean ± standard deviation over seeds {", ".join(map(str, SEEDS))}, from random weights;
"untrained" is the same network before the first batch.
NMI is of k-means with as many clusters as classes. Embeddings come from the exported ONNX file.

{table}

Recall@1 of the pilots ({options.pilot_iterations} iterations, seed 0) on a held-out fifth of the training classes,
which chose the learning rate and whether embeddings have unit length. Margins: {margins()}.

{pilots_table(pilots)}

The same for all: {", ".join(f"{name} {value}" for name, value in same.items() if value != "")}.
"""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "compare_losses.md").write_text(text)
    record = {
        "config": config,
        "chosen": {loss: choice._asdict() for loss, choice in chosen.items()},
        "pilots": {loss: list(recalls.values()) for loss, recalls in pilots.items()},
        "results": results,
    }
    (RESULTS / "compare_losses.json").write_text(json.dumps(record, indent=1) + "\n")
    return table


def margins() -> str:
    return ", ".join(f"{loss} {free:g} ({unit:g} at unit length)" for loss, (free, unit) in FORMS.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cars196", help="a data set's name (%(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for runs; an interrupted command resumes there"
    )
    parser.add_argument("--iterations", type=int, default=2000, help="iterations of a run (%(default)s)")
    parser.add_argument("--pilot-iterations", type=int, default=500, help="iterations of a pilot (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (%(default)s)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.worker:
        work(options, json.loads(options.worker))
        return
    pilots = pilot_recalls(options)
    chosen = {loss: max(recalls, key=recalls.__getitem__) for loss, recalls in pilots.items()}
    jobs = [
        {"kind": "train", "name": f"{loss}-{seed}", "loss": loss, "choice": chosen[loss], "seed": seed}
        for seed in SEEDS
        for loss in FORMS
    ]
    others = [
        {"kind": "untrained", "name": f"untrained-{seed}", "loss": "lifted", "choice": (0.0, False, 1.0), "seed": seed}
        for seed in SEEDS
    ] + [{"kind": "pixels", "name": "pixels"}]
    results = run_jobs(options, others + jobs)
    trained = list(zip(jobs, results[len(others) :], strict=True))
    by_name = {loss: [scores for job, scores in trained if job["loss"] == loss] for loss in FORMS}
    by_name |= {"raw pixels, 16 x 16": results[len(SEEDS) : len(others)], "untrained": results[: len(SEEDS)]}
    print(write_results(options, pilots, chosen, by_name))


if __name__ == "__main__":
    main()
