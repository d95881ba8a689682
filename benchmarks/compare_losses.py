"""Compare the losses, and what needs no training, on unseen classes at equal time, from ImageNet's weights.

On CARS196's test classes: raw pixels, the network's pooled features, whitened principal components of them, and the
network trained with each loss, all from the same weights with the defaults of `lifted train`. All runs see the same
images in batches of the same size, so they take about the same time: the table shows it. The learning rate is chosen
for each loss by recall@1 of short pilot runs on a fifth of the training classes, held out. The test classes decide
nothing. Every embedding comes from the exported file.

Each run is a single-threaded process, so that its result does not depend on other processes. An interrupted command
resumes where it stopped. It writes results/compare_losses.md and .json next to this file, or files named by --result.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from training_runs import embedded, machine, measured, pooled_features, run_jobs, train_run, write_result

RESULTS = Path(__file__).parent / "results"
LOSSES = ["lifted", "contrastive-all", "triplet-semihard", "multi-similarity", "proxy-anchor", "normalized-softmax"]
RATES = (3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
TRIED_FIRST = (3e-5, 1e-4, 3e-4)  # then the neighbors of the best, until the best is no longer at an end
UNTRAINED = ["pixels", "pooled", "whitened"]
NAMES = {
    "pixels": "raw pixels, 16 x 16",
    "pooled": "pooled features",
    "whitened": "whitened principal components",
}
WATCHED = (
    0.03  # share of the training classes that a run measures at its start; of the test classes that would take long
)
COLUMNS = ["R@1", "R@2", "R@4", "R@8", "NMI", "minutes"]


def config_for(options: argparse.Namespace, loss: str, seed: int, rate: float, *, pilot: bool = False) -> Any:
    from gluon_lifted.config.resolve import config_of, resolve

    config = config_of(
        resolve(
            {
                "dataset": options.dataset,
                "data": str(options.data),
                "backbone": options.backbone,
                "weights": str(options.weights),
                "loss": loss,
                "learning_rate": rate,
                "seed": seed,
                "crop": options.crop,
                "resize": round(options.crop / 0.875),
                "dim": options.dim,
                "validation_classes": 0.2 if pilot else WATCHED,
                "eval_every": 0,
                "checkpoint_every": 100,
                "keep": "last",
                "test": False,
                "images_at_a_time": options.images_at_a_time,
            }
        )
    )
    return replace(config, iterations=(options.pilot_images if pilot else options.images) // config.batch_size)


def work(options: argparse.Namespace, job: dict[str, Any]) -> None:
    """Run a job and write its result."""
    from gluon_lifted.datasets import load_dataset
    from gluon_lifted.training.data import load_data

    name, kind, run = job["name"], job["kind"], options.work / job["name"]
    test = load_dataset(options.dataset, options.data).test
    seconds = 0.0
    if kind == "pixels":
        from gluon_lifted.metrics.baselines import pixel_thumbnails

        embedding = pixel_thumbnails(test.paths)
    elif kind == "pooled":
        embedding = pooled_features(config_for(options, "lifted", 0, 1e-4), test)
    else:
        pilot = kind == "pilot"
        config = config_for(options, job["loss"], job["seed"], job["rate"], pilot=pilot)
        seconds = train_run(replace(config, iterations=0) if kind == "whitened" else config, run)
        test = load_data(config).watched if pilot else test
        embedding = embedded(run, test, options.data)
    by_cosine = kind in ("pooled", "whitened")
    write_result(options.work, name, measured(embedding, test.labels, cosine=by_cosine) | {"minutes": seconds / 60})


def chosen_rates(options: argparse.Namespace) -> dict[str, float]:
    """Return the learning rate with the best recall@1 of each loss's pilots."""
    recalls: dict[str, dict[float, float]] = {loss: {} for loss in options.losses}
    while untried := [(loss, rate) for loss in options.losses for rate in next_rates(recalls[loss])]:
        jobs = [
            {"kind": "pilot", "name": f"pilot-{loss}-{rate:g}", "loss": loss, "rate": rate, "seed": 0}
            for loss, rate in untried
        ]
        results = run_jobs(__file__, options.pilots or options.work, jobs, options.jobs)
        for (loss, rate), result in zip(untried, results, strict=True):
            recalls[loss][rate] = result["R@1"]
    by_name = {loss: {f"{rate:g}": recall for rate, recall in tried.items()} for loss, tried in recalls.items()}
    (options.work / "pilots.json").write_text(json.dumps(by_name))
    return {loss: best_rate(tried) for loss, tried in recalls.items()}


def best_rate(recalls: dict[float, float]) -> float:
    return max(recalls, key=lambda rate: recalls[rate])


def next_rates(recalls: dict[float, float]) -> list[float]:
    """Return the rates to try next: those beside the best that were not tried."""
    if not recalls:
        return list(TRIED_FIRST)
    best = RATES.index(best_rate(recalls))
    return [rate for rate in RATES[max(0, best - 1) : best + 2] if rate not in recalls]


def results_of(options: argparse.Namespace, rates: dict[str, float]) -> dict[str, list[dict[str, float]]]:
    """Return the scores of each row of the table, one for each seed."""
    jobs = [{"kind": kind, "name": kind, "loss": "lifted", "seed": 0, "rate": 1e-4} for kind in UNTRAINED]
    jobs += [
        {"kind": "train", "name": f"{loss}-{seed}", "loss": loss, "seed": seed, "rate": rates[loss]}
        for seed in range(options.seeds)
        for loss in options.losses
    ]
    scores = run_jobs(__file__, options.work, jobs, options.jobs)
    rows: dict[str, list[dict[str, float]]] = {}
    for job, score in zip(jobs, scores, strict=True):
        rows.setdefault(job["kind"] if job["kind"] in UNTRAINED else job["loss"], []).append(score)
    return rows


def spread(values: list[float]) -> str:
    """Format mean and standard deviation over the seeds."""
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}" if len(values) > 1 else f"{values[0]:.1f}"


def results_table(rates: dict[str, float], rows: dict[str, list[dict[str, float]]]) -> str:
    lines = [f"| embedding | learning rate | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name, runs in rows.items():
        cells = [spread([run[column] for run in runs]) for column in COLUMNS]
        lines.append(f"| {NAMES.get(name, name)} | {rates.get(name, '-')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pilots_table(options: argparse.Namespace) -> str:
    recalls: dict[str, dict[str, float]] = json.loads((options.work / "pilots.json").read_text())
    rates = [rate for rate in map("{:g}".format, RATES) if any(rate in tried for tried in recalls.values())]
    lines = [f"| loss | {' | '.join(rates)} |", "|---" * (len(rates) + 1) + "|"]
    for loss, tried in recalls.items():
        lines.append(f"| {loss} | {' | '.join(f'{tried[rate]:.1f}' if rate in tried else '' for rate in rates)} |")
    return "\n".join(lines)


def commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def write_results(options: argparse.Namespace, rates: dict[str, float], rows: dict[str, list[dict[str, float]]]) -> str:
    table, config = results_table(rates, rows), config_for(options, "lifted", 0, 1e-4)
    seeds = f"Mean ± standard deviation over {options.seeds} seeds." if options.seeds > 1 else "One seed."
    text = f"""# Losses at equal time, from ImageNet's weights, {options.crop} px

Written by `python benchmarks/compare_losses.py --dataset {options.dataset} --data {options.data.name} --weights
{options.weights.name} --work WORK --crop {options.crop} --images {options.images} --pilot-images
{options.pilot_images} --seeds {options.seeds} --losses {" ".join(options.losses)}`,
commit {commit()}, on {machine()}, {options.jobs} runs at a time.

Percent, on the data set's test classes, which are disjoint from the training classes; 3 % of these are left out. Every
image is a query, all others are its gallery. {seeds} {options.backbone},
{options.dim} numbers an embedding; each run sees {options.images:,} images in {config.iterations} batches of
{config.batch_size}. Minutes are CPU time of one core. Embeddings of trained networks are ranked by Euclidean distance,
pooled features and principal components by cosine. NMI is of k-means with as many clusters as classes.

{table}

Recall@1 of the pilots ({options.pilot_images:,} images{" at another size" if options.pilots else ""}, seed 0) on a
held-out fifth of the training classes, by learning rate:

{pilots_table(options)}
"""
    (RESULTS / f"{options.result}.md").write_text(text)
    (RESULTS / f"{options.result}.json").write_text(json.dumps({"rates": rates, "results": rows}, indent=1) + "\n")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cars196", help="a data set's name (%(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--weights", type=Path, required=True, help="ImageNet weights of the backbone")
    parser.add_argument("--backbone", default="mobilenetv2_1.0", help="%(default)s")
    parser.add_argument("--work", type=Path, required=True, help="folder for runs")
    parser.add_argument("--crop", type=int, default=112, help="side of an image in pixels (%(default)s)")
    parser.add_argument("--dim", type=int, default=128, help="width of the embedding (%(default)s)")
    parser.add_argument("--images", type=int, default=48_000, help="images that a run sees (%(default)s)")
    parser.add_argument(
        "--images-at-a-time", type=int, default=0, help="images of a batch that a network holds; 0: all (%(default)s)"
    )
    parser.add_argument("--pilot-images", type=int, default=6400, help="images that a pilot sees (%(default)s)")
    parser.add_argument("--pilots", type=Path, help="folder of another comparison, whose pilots choose the rates")
    parser.add_argument("--losses", nargs="+", default=LOSSES, choices=LOSSES, help="losses to compare (all)")
    parser.add_argument("--result", default="compare_losses", help="name of the result files (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each loss (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (%(default)s)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.worker:
        work(options, json.loads(options.worker))
        return
    rates = chosen_rates(options)
    print(write_results(options, rates, results_of(options, rates)))


if __name__ == "__main__":
    main()
