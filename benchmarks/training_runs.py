"""Run many trainings in single-threaded processes, two at a time, and measure their embeddings.

Shared by `compare_losses`, `study_defaults` and `first_model`. A result is a JSON file in the work folder; what has one
is not run again, and an interrupted run resumes from its checkpoint.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.datasets import ImageTable

KS = (1, 2, 4, 8)
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}


def run_jobs(script: str, work: Path, jobs: list[dict[str, Any]], at_a_time: int) -> list[Any]:
    """Run ``script ... --worker JOB`` for each job without a result, and return all results in order."""

    def result(job: dict[str, Any]) -> Any:
        path = work / f"{job['name']}.json"
        if not path.exists():
            began = time.monotonic()
            command = [sys.executable, script, *sys.argv[1:], "--worker", json.dumps(job)]
            with (work / f"{job['name']}.log").open("w") as log:
                subprocess.run(command, env=os.environ | ONE_THREAD, stdout=log, stderr=log, check=True)
            print(f"{job['name']}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        return json.loads(path.read_text())

    with ThreadPoolExecutor(at_a_time) as pool:
        return list(pool.map(result, jobs))


def write_result(work: Path, name: str, result: Any) -> None:
    """Write a job's result, complete or not at all."""
    temporary = work / f"{name}.tmp"
    temporary.write_text(json.dumps(result))
    temporary.replace(work / f"{name}.json")


def train_run(config: TrainConfig, run: Path) -> float:
    """Train, resume, or do nothing if it is finished. Return the CPU seconds of training."""
    from gluon_lifted.training.checkpoint import checkpoints
    from gluon_lifted.training.run import Hardware, train

    done = run / "done.json"
    if not done.exists():
        resume = bool(checkpoints(run))
        if not resume:
            (run / "config.json").unlink(missing_ok=True)
        began = time.process_time()
        train(config, run, Hardware("cpu", 1), resume=resume)
        done.write_text(json.dumps(time.process_time() - began))
    return float(json.loads(done.read_text()))


def embedded(run: Path, table: ImageTable, root: Path) -> NDArray[np.float32]:
    """Export a run and embed images with the exported file: (N, D)."""
    from export import export_run
    from serve_cli.embed.decoding import Decoding
    from serve_cli.embed.embed_rows import collect, embed_rows
    from serve_cli.model.embedder import Embedder
    from serve_cli.model.model_options import ModelOptions
    from serve_cli.sources.resolve import dataset_source

    model = run / "model.onnx"
    if not model.exists():
        export_run(run, model)
    embedder = Embedder(model, ModelOptions(threads=1))
    result = collect(embed_rows(embedder, dataset_source(table, root), 32, Decoding(1)), embedder.card.dim)
    if failed := [error for error in result.errors if error]:
        raise SystemExit(f"{len(failed)} images could not be read; the first: {failed[0]}")
    return result.embedding


def pooled_features(config: TrainConfig, table: ImageTable) -> NDArray[np.float32]:
    """Return what the embedding layer of a network with loaded weights reads: (N, C)."""
    from gluon_lifted.batches.loader import ImageLoader
    from gluon_lifted.devices import mxnet_contexts
    from gluon_lifted.images.colors import preprocessing_of
    from gluon_lifted.training.trainer import Trainer

    trainer = Trainer(config, mxnet_contexts("cpu"))
    config = replace(config, **trainer.load_weights(lambda _: None))
    with ImageLoader(table, preprocessing_of(config), 1) as loader:
        return np.concatenate([pooled for pooled, _ in trainer.pool_and_embed(loader.test_batches(32))])


def measured(embedding: NDArray[np.float32], labels: NDArray[np.int64], *, cosine: bool = False) -> dict[str, float]:
    """Return recall@K by Euclidean or cosine distance, recall@1 by cosine, and NMI, in percent."""
    from gluon_lifted.metrics.clustering import cluster_scores
    from gluon_lifted.metrics.retrieval import recall_at_k

    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)  # of equal order by both distances
    compared = unit if cosine else embedding
    recalls = {f"R@{k}": 100 * value for k, value in recall_at_k(compared, labels, KS).items()}
    by_cosine = 100 * recall_at_k(unit, labels, (1,))[1]
    return recalls | {"R@1 cosine": by_cosine, "NMI": 100 * cluster_scores(compared, labels, seed=0).nmi}


def machine() -> str:
    """Describe the machine in a few words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, one thread a run"
