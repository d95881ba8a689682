"""Kill updates of an index before every fifth of their operations on files; print what is left as JSON.

Usage: kill_update.py INDEX EMBEDDINGS WORK_FOLDER. Replaces the rows of copies of INDEX by those of EMBEDDINGS.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute
import pyarrow.parquet  # noqa: F401 - imported here once, so that each forked child need not import it

from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.layout import read_index_manifest
from serve_cli.retrieval.index.update import replace_rows

EVERY = 5
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}


def in_child(function):
    """Run a function in a forked child, so that the parent never starts threads; return what it returns, or None."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        result = json.dumps(function())
        os.write(writing, result.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, status
    return None if killed else json.loads(result)


def kill_at(operation, folder):
    """Kill this process before its n-th operation on files in a folder."""
    count = 0

    def hook(event, args):
        nonlocal count
        if event in EVENTS and any(isinstance(arg, str | os.PathLike) and str(folder) in str(arg) for arg in args):
            count += 1
            if count == operation:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def content(folder):
    with CatalogIndex.open(folder) as index:
        rows = np.flatnonzero(index.live)
        return sorted(zip(index.table(rows)["id"].to_pylist(), index.vectors(rows).tolist(), strict=True))


def leftovers(folder):
    manifest = read_index_manifest(folder)
    named = {"index.json", ".index.lock", manifest.deletions, *(segment.name for segment in manifest.segments)}
    return sorted(set(os.listdir(folder)) - named)


def killed_at(operation, source, embeddings, work):
    """Return what an update leaves that is killed at an operation, and whether it was killed."""
    folder = work / f"{operation}"
    shutil.copytree(source, folder)

    def update():
        kill_at(operation, folder)
        return replace_rows(folder, embeddings).rows

    def check():
        left = content(folder)
        replace_rows(folder, embeddings)
        return {"left": left, "repeated": content(folder), "leftovers": leftovers(folder)}

    killed = in_child(update) is None
    return in_child(check), killed


if __name__ == "__main__":
    source, embeddings, work = map(Path, sys.argv[1:])
    results, killed = [], True
    while killed:
        result, killed = killed_at(1 + EVERY * len(results), source, embeddings, work)
        results.append(result)
    print(json.dumps({"old": in_child(lambda: content(source)), "results": results}))
