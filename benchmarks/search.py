"""Compare the index of `lifted index` with other libraries: build, queries one at a time, filters, opening.

    python benchmarks/search.py EMBEDDINGS [--rows 1000000] [--dim 128] [--peers hnswlib,usearch,faiss-hnsw]
        [--peer-python PYTHON] [--work FOLDER] [--report benchmarks/results/search.md]

EMBEDDINGS are embeddings of real photographs (`lifted embed`). They are repeated to N rows, each copy with normal noise
of the photographs' own covariance, scaled to 0.7 of the median distance between a photograph and its nearest neighbor:
copies of two neighboring photographs mix, so the data are not clusters alone. More columns than the embeddings have
come from a fixed random rotation of the embeddings and their element-wise positive parts. Queries are drawn alike, with
another seed, and are not in the index.

Each library builds with two threads and answers queries one at a time with one thread. Rates are queries per second of
CPU time, the best of three turns, which depends less on other processes than wall time. Peers run in an environment of
their own, since some need an older NumPy. autofaiss tunes itself; the others are searched with rising effort until they
reach the recall. Results are appended to the report. Additions, deletions and replacements are measured by
`measure_updates` of benchmarks/search_updates.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from benchmarks.search_peers import rate_and_recall
from gluon_lifted.card import ModelCard
from gluon_lifted.hardware.memory import peak_memory
from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.retrieval.index.build import IndexOptions, build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.exact_search import Block, exact_nearest
from serve_cli.retrieval.index.threads import threads
from serve_cli.retrieval.index.tuning import tune
from serve_cli.sources.image_row import EmbeddedRows, ImageRow

if TYPE_CHECKING:
    from serve_cli.retrieval.index.layout import SearchParameters

TARGETS = (0.95, 0.99)
QUERIES = 500
NOISE = 0.7
SHARES = (0.001, 0.01, 0.1, 0.5)  # of rows that pass a filter
BATCH = 50_000


def widened(embedding: np.ndarray, dim: int) -> np.ndarray:
    """Return (n, dim): the embeddings, or a rotation of them and their positive parts."""
    if dim == embedding.shape[1]:
        return embedding
    both = np.concatenate([embedding, np.maximum(embedding, 0)], axis=1)
    rotation = np.random.default_rng(3).normal(size=(both.shape[1], dim)) / np.sqrt(dim)
    return (np.maximum(both @ rotation, 0) + 0.1 * both @ rotation).astype(np.float32)


def repeated(base: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Repeat embeddings with noise to (rows, D); see above."""
    generator = np.random.default_rng(seed)
    sample = base[generator.choice(len(base), min(len(base), 2000), replace=False)]
    nearest = exact_nearest(sample, 2, [Block(np.arange(len(base)), base)], "euclidean").distances[:, 1]
    centered = base - base.mean(axis=0)
    covariance = centered.T @ centered / len(base)
    scale = NOISE * np.median(nearest) / np.sqrt(np.trace(covariance))
    factor = scale * np.linalg.cholesky(covariance + 1e-6 * np.trace(covariance) * np.eye(base.shape[1]) / len(base))
    made = np.empty((rows, base.shape[1]), np.float32)
    for start in range(0, rows, BATCH):
        own = base[(np.arange(start, min(start + BATCH, rows)) + seed * 31) % len(base)]
        noise = generator.standard_normal(own.shape, np.float32)
        made[start : start + BATCH] = own + noise @ factor.T.astype(np.float32)
    return made


def write_embeddings(folder: Path, vectors: np.ndarray, card: ModelCard) -> None:
    plan = Plan("/photos", len(vectors), "i", "p", "c", "f", "m", "CPUExecutionProvider", 8, BATCH)
    written = EmbeddingFolder(folder, plan, card, pa.schema([]))
    for number, start in enumerate(range(0, len(vectors), BATCH)):
        part = vectors[start : start + BATCH]
        names = [f"{row:08d}.jpg" for row in range(start, start + len(part))]
        rows = [ImageRow(name, Path(name), None) for name in names]
        written.write(number, [EmbeddedRows(rows, part, [None] * len(part))])
    written.complete({})


def prepare(work: Path, source: Path, rows: int, dim: int) -> None:
    """Write the data that all libraries share."""
    if (work / "truth.npy").exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    embeddings = read_embeddings(source)
    base = widened(embeddings.embedding, dim)
    vectors, queries = repeated(base, rows, 0), repeated(base, QUERIES, 7)
    card = ModelCard.from_json(json.dumps({**json.loads(embeddings.card.to_json()), "dim": dim}), "card")
    write_embeddings(work / "embeddings", vectors, card)
    blocks = (
        Block(np.arange(first, min(first + BATCH, rows)), vectors[first : first + BATCH])
        for first in range(0, rows, BATCH)
    )
    np.save(work / "vectors.npy", vectors)
    np.save(work / "queries.npy", queries)
    np.save(work / "truth.npy", exact_nearest(queries, 10, blocks, "euclidean").rows)


def ours(work: Path, factory: str | None) -> dict[str, object]:
    """Build and query our index; run it in a process of its own, whose peak memory is reported."""
    queries, truth, path = np.load(work / "queries.npy"), np.load(work / "truth.npy"), work / f"{factory}.index"
    before, wall, cpu = peak_memory(), time.perf_counter(), time.process_time()
    built = build_index(work / "embeddings", path, IndexOptions(TARGETS[0], factory, threads=2, overwrite=True))
    result: dict[str, object] = {
        "name": f"lifted index ({built.manifest.kind})",
        "build_s": time.perf_counter() - wall,
        "build_cpu_s": time.process_time() - cpu,
        "memory_mb": (peak_memory() - before) / 2**20,
    }
    CatalogIndex.open(path)  # imports
    opening = []
    for _ in range(5):
        start = time.perf_counter()
        CatalogIndex.open(path)
        opening.append(time.perf_counter() - start)
    index = CatalogIndex.open(path)
    with threads(1):
        reached = exact_rate(index, queries, truth) if built.manifest.exact else tuned_rates(index, queries, truth)
    return {**result, "at": reached, "open_ms": 1e3 * min(opening), "filtered": filtered(index, queries[:100])}


def exact_rate(index: CatalogIndex, queries: np.ndarray, truth: np.ndarray) -> dict[float, object]:
    rate, recall = rate_and_recall(lambda query: index.nearest(query, 10).rows[0], queries, truth)
    return {1.0: {"rate": rate, "recall": recall, "effort": "all rows"}}


def tuned_rates(index: CatalogIndex, queries: np.ndarray, truth: np.ndarray) -> dict[float, object]:
    reached: dict[float, object] = {}
    for target in TARGETS:
        search = index.manifest.search if target == TARGETS[0] else tune(index, target).search
        rate, recall = rate_and_recall(partial(nearest_ten, index, search), queries, truth)
        reached[target] = {"rate": rate, "recall": recall, "effort": described(index.manifest.kind, search)}
    return reached


def nearest_ten(index: CatalogIndex, search: SearchParameters, query: np.ndarray) -> np.ndarray:
    return index.approximate(query, 10, search).rows[0]


def described(kind: str, search: SearchParameters) -> str:
    """Return the effort of a search as text: the width of a graph's beam, or lists and candidates per neighbor."""
    if "HNSW" in kind and not kind.startswith("IVF"):
        return f"beam of {search.effort}"
    return f"{search.effort} lists, x{search.rerank}"


def filtered(index: CatalogIndex, queries: np.ndarray) -> dict[str, object]:
    """Return recall@10 and milliseconds a query where a random share of rows passes."""
    results = {}
    for share in SHARES:
        among = np.flatnonzero(np.random.default_rng(5).random(index.total) < share)
        true = index.exhaustive(queries, 10, among).rows
        start = time.process_time()
        rows = [index.nearest(query[None], 10, among=among).rows[0] for query in queries]
        spent = time.process_time() - start
        hits = sum(len(np.intersect1d(own, other)) for own, other in zip(rows, true, strict=True))
        results[share] = {"recall": hits / true.size, "ms": 1e3 * spent / len(queries)}
    return results


def table_lines(result: dict[str, object]) -> list[str]:
    built = f"| {result['name']} | {result['build_s']:.1f} | {result['build_cpu_s']:.1f} | {result['memory_mb']:.0f} |"
    return [f"{built} {at['recall']:.3f} | {at['rate']:,.0f} | {at['effort']} |" for at in result["at"].values()]


def report(path: Path, rows: int, dim: int, results: list[dict[str, object]]) -> None:
    lines = [
        f"\n## {rows:,} rows of {dim}\n",
        "| | build s | CPU-s | memory MB | recall | queries/CPU-s | effort |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [line for result in results for line in table_lines(result)]
    for result in results:
        if "open_ms" in result:
            shares = ", ".join(
                f"{float(share):.1%} {one['recall']:.3f} ({one['ms']:.1f} ms)"
                for share, one in result["filtered"].items()
            )
            lines.append(
                f"\n{result['name']}: opens in {result['open_ms']:.1f} ms. Recall among a share of rows: {shares}."
            )
    print("\n".join(lines))
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def run(command: list[str]) -> dict[str, object]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--factory", action="append", help="also build this kind; repeat for several")
    parser.add_argument("--peers", default="hnswlib,usearch,faiss-hnsw")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--work", type=Path, default=Path("search-benchmark"))
    parser.add_argument("--report", type=Path, default=Path("benchmarks/results/search.md"))
    parser.add_argument("--ours", help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = options.work / f"{options.rows}x{options.dim}"
    if options.ours is not None:
        print(json.dumps(ours(work, options.ours or None)))
        return
    prepare(work, options.embeddings, options.rows, options.dim)
    results = [run([*sys.orig_argv, "--ours", factory]) for factory in ["", *(options.factory or [])]]
    peers = Path(__file__).with_name("search_peers.py")
    names = filter(None, options.peers.split(","))
    results.extend(run([options.peer_python, str(peers), str(work), name]) for name in names)
    report(options.report, options.rows, options.dim, results)


if __name__ == "__main__":
    main()
