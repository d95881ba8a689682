"""Measure time and memory of exact recall@{1, 10, 100, 1000} at the size of Stanford Online Products, and of faiss.

    python benchmarks/recall.py [--rows 60502] [--classes 11316] [--dim 512] [--turns 3]
    python benchmarks/recall.py --ties

Embeddings are synthetic: classes of 2 to 12 rows around random centers. Each alternative runs in a process of its own
with all cores, and they take turns. faiss (flat index, k = 1001, including the query itself) is skipped if it is not
installed (`pip install faiss-cpu`). "products alone" is the matrix product of each pair of rows once, in the same
tiles, a lower bound for the others. Where results differ, distances in float64 decide.

``--ties`` compares all metrics on embeddings with many ties and on random ones, by CPU time, which depends less on
other processes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from gluon_lifted.hardware.cpus import usable_cpus
from gluon_lifted.hardware.memory import peak_memory
from gluon_lifted.metrics.ranking.all_pairs import EDGE
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import NEVER, retrieval_scores

if TYPE_CHECKING:
    from collections.abc import Iterator

KS = (1, 10, 100, 1000)
SPREAD = 2.15  # standard deviation within a class, over that of the centers; gives about the paper's recall@1


def make(rows: int, classes: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw embeddings float32 (N, D) and labels (N,), in random order."""
    rng = np.random.default_rng(0)
    sizes = rng.choice(np.arange(2, 13), size=classes).astype(float)
    sizes = np.maximum(2, np.round(sizes * rows / sizes.sum())).astype(int)
    labels = rng.permutation(np.resize(np.repeat(np.arange(classes), sizes), rows))
    centers = rng.normal(size=(classes, dim)).astype(np.float32)
    noise = rng.standard_normal((rows, dim), np.float32)
    return centers[labels] + np.float32(SPREAD) * noise, labels


def ours(embedding: np.ndarray, labels: np.ndarray, *, only_first: bool) -> np.ndarray:
    return retrieval_scores(Search.leave_one_out(embedding, labels), only_first=only_first).first_rank


def faiss_flat(embedding: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the rank of the first hit among the 1,000 nearest, else `NEVER`."""
    import faiss

    index = faiss.IndexFlatL2(embedding.shape[1])
    index.add(embedding)
    first_rank = np.full(len(labels), NEVER)
    for start in range(0, len(labels), 4096):  # all queries at once would take 1 GB
        query = np.arange(start, min(start + 4096, len(labels)))
        _, nearest = index.search(embedding[query], max(KS) + 1)
        others = nearest != query[:, None]
        hit = (labels[nearest] == labels[query, None]) & others
        column = hit.argmax(axis=1)
        rank = np.take_along_axis(others.cumsum(axis=1), column[:, None], axis=1)[:, 0]
        first_rank[query] = np.where(hit.any(axis=1) & (rank <= max(KS)), rank, NEVER)
    return first_rank


def products(embedding: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Compute the products of each pair of tiles once and discard them."""
    starts = range(0, len(embedding), EDGE)

    def line(start: int) -> None:
        out = np.empty((EDGE, EDGE), np.float32)
        query = embedding[start : start + EDGE]
        for other in range(start, len(embedding), EDGE):
            item = embedding[other : other + EDGE]
            np.matmul(query, item.T, out=out[: len(query), : len(item)])

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(usable_cpus()) as pool:
        list(pool.map(line, starts))
    return np.full(len(embedding), NEVER)


def tied(rows: int, dim: int, rng: np.random.Generator) -> Iterator[tuple[str, str, np.ndarray]]:
    """Iterate over name, distance and embeddings (N, D), float32 unless they need float64."""
    normal = rng.normal(size=(rows, dim)).astype(np.float32)
    codes = rng.integers(0, 2, (rows, dim)).astype(np.float32)
    codes[:, 0] = 1  # no row of zeros
    ten = normal[rng.integers(10, size=rows)]
    outlier = codes.copy()
    outlier[rows // 2] *= np.float32(1e10)
    yield "random", "euclidean", normal
    yield "all equal", "euclidean", np.repeat(normal[:1], rows, axis=0)
    yield "10 distinct", "euclidean", ten
    yield "N / 20 distinct", "euclidean", normal[rng.integers(rows // 20, size=rows)]
    yield "codes {0, 1}", "euclidean", codes
    yield "codes {0, 1}", "cosine", codes
    yield "codes {-1, 1}", "euclidean", 2 * codes - 1
    yield "codes {0, 1}, one row 10^10 times as long", "euclidean", outlier
    yield "ternary times 0.123", "euclidean", (np.float32(0.123) * rng.integers(-1, 2, (rows, dim))).astype(np.float32)
    yield "int8", "euclidean", np.round(40 * normal)
    yield "int8 times 0.0123", "euclidean", np.round(40 * normal) * np.float32(0.0123)
    yield "10 distinct, noise of 10^-9", "euclidean", ten + 1e-9 * rng.normal(size=(rows, dim))


def compare_ties(turns: int) -> None:
    print("| embeddings | distance | rows | dim | classes | CPU s | times random |\n|---|---|---|---|---|---|---|")
    for rows, dim, classes in ((1000, 64, 25), (10_000, 64, 25), (10_000, 64, 2500), (10_000, 256, 2500)):
        rng = np.random.default_rng(0)
        labels = rng.integers(classes, size=rows)
        random = None
        for name, distance, embedding in tied(rows, dim, rng):
            search, times = Search.leave_one_out(embedding, labels), []
            for _ in range(turns):
                began = time.process_time()
                retrieval_scores(search, distance)
                times.append(time.process_time() - began)
            seconds = statistics.median(times)
            random = random or seconds
            line = f"| {name} | {distance} | {rows:,} | {dim} | {classes:,} | {seconds:.2f} | {seconds / random:.1f} |"
            print(line, flush=True)


WAYS = {
    "lifted, recall": lambda *arrays: ours(*arrays, only_first=True),
    "lifted, all metrics": lambda *arrays: ours(*arrays, only_first=False),
    "faiss flat": faiss_flat,
    "products alone": products,
}


def work(name: str, folder: Path) -> None:
    """Run one alternative once: print a line of JSON and write the ranks to a file."""
    embedding, labels = np.load(folder / "embedding.npy"), np.load(folder / "labels.npy")
    began = time.perf_counter()
    try:
        first_rank = WAYS[name](embedding, labels)
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name}))
        return
    seconds = time.perf_counter() - began
    np.save(folder / f"{name}.npy", first_rank)
    print(json.dumps({"seconds": seconds, "memory": peak_memory()}))


def run(name: str, folder: Path) -> dict:
    command = [sys.executable, __file__, "--work", name, "--folder", str(folder)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def rank_in_float64(embedding: np.ndarray, labels: np.ndarray, query: int) -> int:
    distance = np.square(embedding.astype(np.float64) - embedding[query]).sum(axis=1)
    distance[query] = np.inf
    order = np.argsort(distance, kind="stable")
    return 1 + int(np.argmax(labels[order] == labels[query]))


def compare(folder: Path) -> None:
    """Print on how many queries faiss and ours differ, and which is right."""
    embedding, labels = np.load(folder / "embedding.npy"), np.load(folder / "labels.npy")
    mine, theirs = (np.load(folder / f"{name}.npy") for name in ("lifted, recall", "faiss flat"))
    mine = np.where(mine <= max(KS), mine, NEVER)
    differ = np.flatnonzero(mine != theirs)
    right = sum(mine[query] == rank_in_float64(embedding, labels, query) for query in differ)
    print(f"first hits of {len(differ):,} of {len(labels):,} queries differ; float64 agrees with ours in {right:,}")
    for k in KS:
        print(f"recall@{k}: ours {100 * (mine <= k).mean():.3f} %, faiss {100 * (theirs <= k).mean():.3f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_502, help="embeddings (%(default)s)")
    parser.add_argument("--classes", type=int, default=11_316, help="classes (%(default)s)")
    parser.add_argument("--dim", type=int, default=512, help="width of the embeddings (%(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="runs of each alternative (%(default)s)")
    parser.add_argument("--ties", action="store_true", help="compare embeddings with many ties to random ones")
    parser.add_argument("--work", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.folder)
        return
    if options.ties:
        compare_ties(options.turns)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, array in zip(("embedding", "labels"), make(options.rows, options.classes, options.dim), strict=True):
            np.save(folder / f"{file}.npy", array)
        measured: dict[str, list[dict]] = {way: [] for way in WAYS}
        for _ in range(options.turns):
            for way in WAYS:
                measured[way].append(run(way, folder))
                print(f"{way}: {measured[way][-1]}", file=sys.stderr, flush=True)
        report(measured)
        if "seconds" in measured["faiss flat"][0]:
            compare(folder)


def report(measured: dict[str, list[dict]]) -> None:
    available = {way: turns for way, turns in measured.items() if "seconds" in turns[0]}
    seconds = {way: statistics.median(turn["seconds"] for turn in turns) for way, turns in available.items()}
    print("| way | s | ours is faster by | of the limit | peak MB |\n|---|---|---|---|---|")
    for way, turns in available.items():
        memory = max(turn["memory"] for turn in turns) / 1e6
        faster, limit = seconds[way] / seconds["lifted, recall"], seconds["products alone"] / seconds[way]
        print(f"| {way} | {seconds[way]:.1f} | {faster:.2f} | {limit:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
