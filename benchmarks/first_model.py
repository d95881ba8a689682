"""Find what searches best before any training: recall@1 of ImageNet features through several embedding layers.

On photographs of CARS196, from a few to all classes. The layer is computed from the first half of the classes; all
images are queries and gallery. The features are measured once. Prints a table and writes results/first_model.md next to
this file.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from training_runs import pooled_features

from gluon_lifted.config.resolve import resolve_config
from gluon_lifted.datasets import load_dataset
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores
from gluon_lifted.networks.whitening import Moments, whitened_layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESULT = Path(__file__).parent / "results" / "first_model.md"
CATALOGS = [(10, 20, 8), (20, 30, 4), (98, 1000, 1), (196, 1000, 1)]  # classes, most images of each, random draws
WIDTHS = (64, 128, 256, 512, 1024)
POOLED = "pooled features, by cosine"


@dataclass(frozen=True)
class Catalog:
    """Features (n, C) and labels (n,) of some classes, and which images the layer is computed from: (n,)."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    used: NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of CARS196")
    parser.add_argument("--weights", default="imagenet", help="weights of mobilenetv2_1.0 (%(default)s)")
    parser.add_argument("--crop", type=int, default=112, help="side of an image in pixels (%(default)s)")
    options = parser.parse_args()
    features, labels = features_of(options)
    catalogs = [
        [draw(features, labels, classes, most, seed) for seed in range(draws)] for classes, most, draws in CATALOGS
    ]
    rows = [(POOLED, [mean_recalls(draws, 0, cosine=True) for draws in catalogs])]
    for width in WIDTHS:
        for cosine in (False, True):
            name = f"{width} numbers, by {'cosine' if cosine else 'Euclidean distance'}"
            rows.append((name, [mean_recalls(draws, width, cosine=cosine) for draws in catalogs]))
            print(rows[-1], file=sys.stderr, flush=True)
    text = report(options, catalogs, rows)
    RESULT.write_text(text)
    print(text)


def features_of(options: argparse.Namespace) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return pooled features (N, C) and labels (N,) of all images."""
    config = resolve_config(
        {
            "dataset": "cars196",
            "data": str(options.data),
            "backbone": "mobilenetv2_1.0",
            "weights": str(options.weights),
            "crop": options.crop,
            "resize": round(options.crop / 0.875),
        }
    )
    data = load_dataset("cars196", options.data)
    features = [pooled_features(config, table) for table in (data.train, data.test)]
    labels = [data.train.labels, data.test.labels + len(data.train.class_names)]
    return np.concatenate(features), np.concatenate(labels)


def draw(features: NDArray[np.float32], labels: NDArray[np.int64], classes: int, most: int, seed: int) -> Catalog:
    """Draw some classes, and at most some images of each."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.unique(labels))[:classes]
    rows = np.concatenate([rng.permutation(np.flatnonzero(labels == label))[:most] for label in chosen])
    return Catalog(features[rows], labels[rows], np.isin(labels[rows], chosen[: classes // 2]))


def mean_recalls(draws: list[Catalog], width: int, *, cosine: bool) -> NDArray[np.float64]:
    """Return recall@1 of all images, of the classes the layer was computed from, and of the others, in percent.

    A width of 0 stands for the pooled features themselves.
    """
    return 100 * np.mean([recalls(catalog, width, cosine=cosine) for catalog in draws], axis=0)


def recalls(catalog: Catalog, width: int, *, cosine: bool) -> list[float]:
    embedding = catalog.features
    if width:
        moments = Moments(embedding.shape[1])
        moments.add(embedding[catalog.used])
        weight, bias = whitened_layer(moments, width, 1.0)
        embedding = embedding @ weight.T + bias
    search = Search.leave_one_out(embedding, catalog.labels)
    found = retrieval_scores(search, "cosine" if cosine else "euclidean", only_first=True).recall_at_k(1)
    return [found.mean(), found[catalog.used].mean(), found[~catalog.used].mean()]


def report(
    options: argparse.Namespace, catalogs: list[list[Catalog]], rows: list[tuple[str, list[NDArray[np.float64]]]]
) -> str:
    titles = [
        f"{len(draws[0].labels):,} images of {num} classes" for draws, (num, *_) in zip(catalogs, CATALOGS, strict=True)
    ]
    table = [f"| embedding | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name, columns in rows:
        cells = [f"{every:.1f} ({used:.1f}, {others:.1f})" for every, used, others in columns]
        table.append(f"| {name} | {' | '.join(cells)} |")
    *first, last = (str(number) for *_, number in CATALOGS)
    draws = f"{', '.join(first)} and {last}"
    lines = "\n".join(table)
    return f"""# What searches best before any training

Written by `python benchmarks/first_model.py --data {options.data.name} --crop {options.crop}`.

Recall@1 of MobileNetV2 from ImageNet's weights, in percent: of all images, and in parentheses of the classes that the
embedding layer was computed from, and of the other half of the classes. All images are queries and gallery. Photographs
of CARS196; means of {draws} random draws of classes. The layer is that of `lifted train --iterations 0`. With published
weights, it makes 512 numbers by default, to compare by cosine.

{lines}
"""


if __name__ == "__main__":
    main()
