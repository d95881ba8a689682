"""Build and query an index of another library, in an environment that has it; `benchmarks/search.py` runs this file.

    python search_peers.py FOLDER {hnswlib,usearch,faiss-hnsw,autofaiss}

FOLDER holds vectors.npy, queries.npy and truth.npy (rows of the ten nearest). Prints one JSON object.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Search = Callable[[np.ndarray], np.ndarray]
EFFORTS = (10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 200, 256, 320, 400, 512)
TARGETS = (0.95, 0.99)
TURNS = 3


def hnswlib(vectors: np.ndarray, _: Path) -> Callable[[int], Search]:
    import hnswlib as library

    index = library.Index("l2", vectors.shape[1])
    index.init_index(len(vectors), M=16, ef_construction=100)
    index.set_num_threads(2)
    index.add_items(vectors)

    def search_with(effort: int) -> Search:
        index.set_ef(effort)
        return lambda query: index.knn_query(query, 10, num_threads=1)[0][0]

    return search_with


def usearch(vectors: np.ndarray, _: Path) -> Callable[[int], Search]:
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="l2sq", dtype="f32", connectivity=16, expansion_add=100)
    index.add(np.arange(len(vectors)), vectors, threads=2)

    def search_with(effort: int) -> Search:
        index.expansion_search = effort
        return lambda query: index.search(query[0], 10, threads=1).keys

    return search_with


def faiss_hnsw(vectors: np.ndarray, _: Path) -> Callable[[int], Search]:
    import faiss

    index = faiss.IndexHNSWFlat(vectors.shape[1], 16)
    index.hnsw.efConstruction = 100
    index.add(vectors)
    faiss.omp_set_num_threads(1)

    def search_with(effort: int) -> Search:
        parameters = faiss.SearchParametersHNSW(efSearch=effort)
        return lambda query: index.search(query, 10, params=parameters)[1][0]

    return search_with


def autofaiss(vectors: np.ndarray, folder: Path) -> Callable[[int], Search]:
    from autofaiss import build_index

    index, _ = build_index(vectors, save_on_disk=False, metric_type="l2", verbose=40, nb_cores=2)
    return lambda _: lambda query: index.search(query, 10)[1][0]


LIBRARIES = {"hnswlib": hnswlib, "usearch": usearch, "faiss-hnsw": faiss_hnsw, "autofaiss": autofaiss}


def rate_and_recall(search: Search, queries: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return the best of some turns of queries per CPU-second, one at a time, and recall@10."""
    best = 0.0
    for _ in range(TURNS):
        start = time.process_time()
        rows = [search(queries[number : number + 1]) for number in range(len(queries))]
        best = max(best, len(queries) / (time.process_time() - start))
    hits = sum(len(np.intersect1d(own, true)) for own, true in zip(rows, truth, strict=True))
    return best, hits / truth.size


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    vectors, queries, truth = (np.load(folder / f"{part}.npy") for part in ("vectors", "queries", "truth"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    search_with = LIBRARIES[name](vectors, folder)
    result = {"name": name, "build_s": time.perf_counter() - wall, "build_cpu_s": time.process_time() - cpu}
    result["memory_mb"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    reached = {}
    for effort in EFFORTS if name != "autofaiss" else (0,):
        rate, recall = rate_and_recall(search_with(effort), queries, truth)
        for target in TARGETS if name != "autofaiss" else (round(recall, 3),):
            if recall >= target and target not in reached:
                reached[target] = {"rate": rate, "recall": recall, "effort": effort}
        if len(reached) == len(TARGETS):
            break
    print(json.dumps({**result, "at": reached}))


if __name__ == "__main__":
    main()
