"""Which settings pay when training starts from weights? Measured on classes held out from training.

One setting at a time differs from a base. A fifth of the training classes is held out, and decides; the test classes
take no part. All runs see the same number of images, so their time is about equal, apart from the settings that change
the cost of an image. Each is a single-threaded process; an interrupted command resumes where it stopped.
It writes results/study_defaults.md next to this file.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from training_runs import embedded, machine, measured, run_jobs, train_run, write_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RESULTS = Path(__file__).parent / "results"
COLUMNS = ["R@1", "R@1 cosine", "R@8", "NMI"]


def decay_batch_norm(trainer: Any) -> None:
    """Let batch norm's gamma and beta decay as weights do."""
    for name, parameter in trainer.net.collect_params().items():
        if name.endswith(("gamma", "beta")):
            parameter.wd_mult = 1.0


def slower_below(trainer: Any) -> None:
    """Let each of MobileNetV2's blocks learn at 0.9 times the rate of the one above it."""
    for name, parameter in trainer.net.collect_params().items():
        if name.startswith("features."):
            parameter.lr_mult *= 0.9 ** (21 - int(name.split(".")[1]))


def layer_alone_first(trainer: Any) -> None:
    """Train only the embedding layer for the first fifth of the batches."""
    step, multipliers = trainer.step, {}
    parameters = trainer.net.backbone.collect_params().values()

    def step_of_phase(batch: Any, iteration: int) -> float:
        if iteration == 0:
            multipliers.update({parameter.name: parameter.lr_mult for parameter in parameters})
        alone = iteration < trainer.config.iterations // 5
        for parameter in parameters:
            parameter.lr_mult = 0.0 if alone else multipliers[parameter.name]
        return step(batch, iteration)

    trainer.step = step_of_phase


@dataclass(frozen=True)
class Variant:
    """A setting to try: what differs from the base."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    images: float = 1.0  # share of the base's images, where an image costs more
    adjust: Callable[[Any], None] = lambda _: None  # changes the trainer, for what is no option


VARIANTS = [
    Variant("base"),
    Variant("untrained", {"iterations": 0}),
    Variant("batch norm of each batch", {"batch_norm": "batch"}),
    Variant("random layer", {"embedding_init": "random"}),
    Variant(
        "random layer, 10 times as fast, dropout 0.4",
        {"embedding_init": "random", "embedding_lr_mult": 10.0, "dropout": 0.4},
    ),
    Variant("mean distance of 2 margins", {"init_distance": 2.0}),
    Variant("mean distance of 16 margins", {"init_distance": 16.0}),
    Variant("unit length", {"normalize": True}),
    Variant("learning rate 3e-5", {"learning_rate": 3e-5}),
    Variant("learning rate 3e-4", {"learning_rate": 3e-4}),
    Variant("augment standard", {"augment": "standard"}),
    Variant("average of 10 batches", {"average": 10}),
    Variant("layer learns 10 times as fast", {"embedding_lr_mult": 10.0}),
    Variant("layer learns a tenth as fast", {"embedding_lr_mult": 0.1}),
    Variant("blocks learn slower below", adjust=slower_below),
    Variant("layer alone for a fifth", adjust=layer_alone_first),
    Variant("gamma and beta decay", adjust=decay_batch_norm),
    Variant("dropout 0.4", {"dropout": 0.4}),
    Variant("batches of 32", {"batch_size": 32}),
    Variant("batches of 128", {"batch_size": 128}),
    Variant("batches of 256 in two passes", {"batch_size": 256, "images_at_a_time": 32}, images=0.75),
    Variant("4 images of a class", {"images_per_class": 4}),
    Variant("width 64", {"dim": 64}),
    Variant("width 512", {"dim": 512}),
    Variant("multi-similarity", {"loss": "multi-similarity"}),
    Variant("proxy-anchor", {"loss": "proxy-anchor"}),
    Variant("contrastive of all pairs", {"loss": "contrastive-all"}),
]


def config_for(options: argparse.Namespace, variant: Variant) -> Any:
    from gluon_lifted.config.resolve import config_of, resolve

    base = {
        "dataset": "cars196",
        "data": str(options.data),
        "backbone": "mobilenetv2_1.0",
        "weights": str(options.weights),
        "crop": options.crop,
        "resize": round(options.crop / 0.875),
        "dim": 128,
        "batch_size": 64,
        "validation_classes": 0.2,
        "eval_every": 0,
        "keep": "last",
        "test": False,
        "checkpoint_every": 100,
    }
    config = config_of(resolve(base | dict(variant.settings)))
    if "iterations" in variant.settings:
        return config
    return replace(config, iterations=round(variant.images * options.images / config.batch_size))


def work(options: argparse.Namespace, job: dict[str, Any]) -> None:
    """Train and measure one variant, and write its result."""
    from gluon_lifted.training.data import load_data
    from gluon_lifted.training.trainer import Trainer

    variant = next(variant for variant in VARIANTS if variant.name == job["name"])
    config, run = config_for(options, variant), options.work / job["name"].replace(" ", "-")
    start = Trainer.__init__

    def adjusted(trainer: Any, *arguments: Any, **names: Any) -> None:
        start(trainer, *arguments, **names)
        variant.adjust(trainer)

    Trainer.__init__ = adjusted  # type: ignore[method-assign]  # a run builds its own trainer
    seconds = train_run(config, run)
    watched = load_data(config).watched
    scores = measured(embedded(run, watched, options.data), watched.labels)
    write_result(options.work, job["name"], scores | {"minutes": seconds / 60})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of CARS196")
    parser.add_argument("--weights", type=Path, required=True, help="ImageNet weights of mobilenetv2_1.0")
    parser.add_argument("--work", type=Path, required=True, help="folder for runs")
    parser.add_argument("--images", type=int, default=6400, help="images that a run sees (%(default)s)")
    parser.add_argument("--crop", type=int, default=112, help="side of an image in pixels (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (%(default)s)")
    parser.add_argument("--only", nargs="*", help="names of variants; all by default")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.worker:
        work(options, json.loads(options.worker))
        return
    chosen = [variant for variant in VARIANTS if not options.only or variant.name in options.only]
    results = run_jobs(__file__, options.work, [{"name": variant.name} for variant in chosen], options.jobs)
    print(write_results(options, chosen, results))


def write_results(options: argparse.Namespace, variants: list[Variant], results: list[dict[str, float]]) -> str:
    rows = table(variants, results)
    text = f"""# Settings that pay when training starts from weights

Written by `python benchmarks/study_defaults.py --data {options.data.name} --weights {options.weights.name} --work WORK
--images {options.images} --crop {options.crop}`, on {machine()}.

Percent, on a fifth of CARS196's training classes, held out; every image is a query, all others are its gallery. The
base is MobileNetV2 from ImageNet's weights with the defaults of `lifted train`: the lifted structured loss with margin
1, batches of 64 images, 8 of a class, 128 numbers an embedding, {options.crop} px, {options.images:,} images. Minutes
are CPU time, the start included; of a run that was interrupted, only the time since it resumed. In each other row one
setting differs. One run each: differences of less than about three points are not told apart.

{rows}
"""
    (RESULTS / "study_defaults.md").write_text(text)
    return rows


def table(variants: list[Variant], results: list[dict[str, float]]) -> str:
    columns = [*COLUMNS, "minutes"]
    lines = [f"| setting | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for variant, scores in zip(variants, results, strict=True):
        lines.append(f"| {variant.name} | {' | '.join(f'{scores[column]:.1f}' for column in columns)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
