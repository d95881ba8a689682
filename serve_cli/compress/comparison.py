"""Compare a model of lower precision with the same model in float32: size, cosine, speed and recall."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serve_cli.model.embedder import Embedder
from serve_cli.model.model_hash import model_bytes
from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from serve_cli.choices import Device

ROUNDS, SECONDS = 5, 0.5  # turns of each model, shortest time of a turn
BATCH = 32  # images per batch when embeddings are compared


@dataclass(frozen=True)
class PrecisionComparison:
    """A model of lower precision beside the float32 model (``single``).

    Parameters
    ----------
    size_bytes, single_bytes : int
        Sizes of the files.
    min_cosine, mean_cosine : float
        Between the two embeddings of an image.
    images_per_s, single_images_per_s : float
        Median rates of the networks without preprocessing, measured in turns on this host.
    recall, single_recall : float or None
        Recall@1 in [0, 1] on a data set, if requested.
    """

    size_bytes: int
    single_bytes: int
    min_cosine: float
    mean_cosine: float
    images_per_s: float
    single_images_per_s: float
    recall: float | None = None
    single_recall: float | None = None

    def facts(self) -> dict[str, str]:
        """Return the comparison in words, for the console and the card."""
        ratio = self.images_per_s / self.single_images_per_s
        facts = {
            "size": f"{self.size_bytes / 1e6:.1f} MB (fp32 {self.single_bytes / 1e6:.1f})",
            "cosine to fp32": f"mean {self.mean_cosine:.5f}, smallest {self.min_cosine:.5f}",
            "images/s": f"{self.images_per_s:.0f} (fp32 {self.single_images_per_s:.0f}): {ratio:.2f} times as fast",
        }
        if self.recall is not None and self.single_recall is not None:
            facts["recall@1"] = f"{self.recall:.2%} (fp32 {self.single_recall:.2%})"
        return facts


def compare_models(
    single: Path, reduced: Path, pixels: NDArray[np.uint8], device: Device = "cpu"
) -> PrecisionComparison:
    """Compare two models on cropped images ``pixels``, uint8 (n, crop, crop, 3) RGB."""
    models = _open([single, reduced], device)
    embeddings = [
        np.concatenate([model.embed(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)])
        for model in models
    ]
    cosines = _cosines(*embeddings)
    single_rate, rate = _rates(models, pixels)
    return PrecisionComparison(
        size_bytes=model_bytes(reduced),
        single_bytes=model_bytes(single),
        min_cosine=float(cosines.min()),
        mean_cosine=float(cosines.mean()),
        images_per_s=rate,
        single_images_per_s=single_rate,
    )


def fastest(models: list[Path], pixels: NDArray[np.uint8], device: Device = "cpu") -> Path:
    """Return the fastest model on cropped images ``pixels``, uint8 (n, crop, crop, 3) RGB."""
    rates = _rates(_open(models, device), pixels)
    return models[rates.index(max(rates))]


def _open(models: list[Path], device: Device) -> list[Embedder]:
    """Open embedders that leave nothing in the cache folder."""
    return [Embedder(model, ModelOptions(device=device, cache=False)) for model in models]


def _rates(models: list[Embedder], pixels: NDArray[np.uint8]) -> list[float]:
    """Measure the median images per second of each network, in turns, with the parallelism of `Embedder`."""
    batch = np.resize(pixels, (models[0].batch_size, *pixels.shape[1:]))
    rates: list[list[float]] = [[] for _ in models]
    for _ in range(ROUNDS):
        for model, measured in zip(models, rates, strict=True):
            measured.append(_rate(model, batch))
    return [statistics.median(measured) for measured in rates]


def _rate(model: Embedder, batch: NDArray[np.uint8]) -> float:
    feeds = [model.feed(batch)] * model.lanes
    with ThreadPoolExecutor(model.lanes) as pool:
        list(pool.map(model.run, feeds))  # warm up memory and caches
        count, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < SECONDS:
            list(pool.map(model.run, feeds))
            count += len(batch) * model.lanes
    return count / elapsed


def _cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the cosine between rows, (n,); 0 if one of the two rows is zero."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines: NDArray[np.float64] = (a * b).sum(axis=1) / np.where(norms > 0, norms, 1)
    return cosines
