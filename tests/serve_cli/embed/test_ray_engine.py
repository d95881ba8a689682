"""Parts computed by Ray's workers: the same rows, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gluon_lifted.errors import RunError
from serve_cli.embed import ray_engine
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import ArrayTask, EmbedOptions, Output
from serve_cli.embed.ray_engine import Crew
from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.part_formats import part_files
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.embeddings.resume_plan import Survey, read_plan
from serve_cli.model.model_options import ModelOptions
from serve_cli.provenance import version
from tests.serve_cli.photos import broken_photos, photo
from tests.serve_cli.tiny_model import CARD, write_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own
REASON = "needs Ray, in an environment of its own (make test-engines)"
PARTS, PART_ROWS = 40, 100


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A cluster of one machine with three cores."""
    found = pytest.importorskip("ray", reason=REASON)
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[3])
    found.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield found
    found.shutdown()


@pytest.fixture
def options(model: Path, tmp_path: Path) -> EmbedOptions:
    """A list with the same few images over and over, so that a run takes seconds."""
    paths = [photo(tmp_path / "photos" / f"{seed}.jpg", seed=seed) for seed in range(20)]
    paths += broken_photos(tmp_path / "photos" / "broken")
    lines = [str(paths[number % len(paths)]) for number in range(PARTS * PART_ROWS)]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    serving = ModelOptions(threads=1, batch_size=2)
    return EmbedOptions(
        model=model,
        source=tmp_path / "list.txt",
        out=tmp_path / "emb",
        model_options=serving,
        output=Output(rows_per_file=PART_ROWS),
        engine="ray",
    )


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in part_files(folder)]


def alone(options: EmbedOptions, out: Path) -> list[bytes]:
    """What one process makes of the same."""
    embed_images(replace(options, out=out, engine="local"))
    return contents(out)


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(work()))
    thread.start()
    return thread, done


def workers() -> list[int]:
    """Process ids of Ray's workers that compute parts."""
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [int(line.split()[0]) for line in found if "MapWorker" in line]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)


def test_the_same_files_as_of_one_process_and_a_worker_that_dies_is_replaced(
    ray: Any, options: EmbedOptions, tmp_path: Path
) -> None:
    thread, done = in_background(lambda: embed_images(options))
    wait_for(lambda: len(part_files(options.out)) >= 3)
    os.kill(workers()[0], signal.SIGKILL)
    killed_at = len(part_files(options.out))
    thread.join(120)
    (report,) = done
    assert killed_at < PARTS
    assert (report.rows, report.workers, report.threads, report.resumed) == (PARTS * PART_ROWS, 3, 1, 0)
    assert report.failed == PARTS * PART_ROWS // 5
    assert len(report.failures) == 5
    assert report.peak_memory > 10 << 20
    assert sum(report.shares.values()) == pytest.approx(1)
    assert contents(options.out) == alone(options, tmp_path / "alone")
    assert len(read_embeddings(options.out).ids) == PARTS * PART_ROWS


def test_parts_that_are_there_are_kept(ray: Any, options: EmbedOptions, tmp_path: Path) -> None:
    embed_images(replace(options, engine="local", task=ArrayTask(1, 3)))
    before = {path: path.stat().st_mtime_ns for path in part_files(options.out)}
    report = embed_images(options)
    assert report.resumed == len(before) * PART_ROWS
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(options.out) == alone(options, tmp_path / "alone")
    assert embed_images(options).resumed == PARTS * PART_ROWS


def test_what_a_worker_finds_wrong_is_told_as_it_is(
    ray: Any, options: EmbedOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddingFolder, "claim", lambda folder: None)
    with pytest.raises(RunError, match=r"emb: does not exist on .*; give a folder on a disk that all hosts share"):
        embed_images(options)


def test_a_worker_with_another_model(options: EmbedOptions) -> None:
    """Without Ray: a run that follows a failed one in the same process once waited for workers that did not come."""
    embed_images(replace(options, engine="local", task=ArrayTask(1, 3)))
    plan = read_plan(options.out)
    assert plan is not None
    write_model(options.model, replace(CARD, name="another"))
    worker = ray_engine._Actor(options, plan.survey, version(ray_engine.PACKAGE))
    with pytest.raises(RunError, match="holds embeddings of another run: the model has changed"):
        worker({"number": 0})


@pytest.mark.slow
def test_two_machines_and_one_of_them_goes(options: EmbedOptions, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason=REASON)
    from ray.cluster_utils import Cluster

    ray.shutdown()
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[3])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        cluster.wait_for_nodes()
        thread, done = in_background(lambda: embed_images(options))
        wait_for(lambda: len(part_files(options.out)) >= 4)
        assert len(workers()) == 2  # one core each: on two machines
        cluster.remove_node(second, allow_graceful=False)
        left_at = len(part_files(options.out))
        thread.join(200)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert left_at < PARTS
    assert done[0].workers == 2
    assert contents(options.out) == alone(options, tmp_path / "alone")


def test_a_worker_of_another_version(options: EmbedOptions) -> None:
    worker = ray_engine._Actor(options, Survey(PARTS * PART_ROWS, "", "", "", ""), "0.0")
    with pytest.raises(RunError, match=r": has gluon-lifted \d.*, but the run was started with 0\.0"):
        worker({"number": 0})


def test_ray_that_is_not_there(options: EmbedOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError, match=r"--engine ray needs it: `pip install .*\[ray\]"):
        embed_images(options)
    assert not options.out.exists()


def node(cpus: float, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


@pytest.mark.parametrize(
    ("device", "threads", "nodes", "expected"),
    [
        ("cpu", None, [node(16), node(16)], (2, 16, 0)),
        ("cpu", None, [node(16), node(8)], (3, 8, 0)),
        ("cpu", 4, [node(16), node(6), node(2)], (5, 4, 0)),
        ("cpu", None, [node(0), node(4), node(64, alive=False)], (1, 4, 0)),  # a head that computes nothing
        ("gpu", None, [node(32, 4), node(16)], (4, 8, 1)),
        ("tensorrt", 2, [node(32, 4), node(16, 2)], (6, 2, 1)),
    ],
)
def test_the_crew(device: str, threads: int | None, nodes: list[dict[str, Any]], expected: tuple[int, ...]) -> None:
    found = Crew.of(nodes, ModelOptions(device=device, threads=threads))
    assert (found.workers, found.threads, found.gpus) == expected


@pytest.mark.parametrize(
    ("device", "threads", "nodes", "message"),
    [
        ("cpu", 8, [node(4), node(4)], "no host with 8 cores; give fewer --threads"),
        ("cpu", None, [node(0)], "no host with 1 cores"),
        ("gpu", None, [node(8)], "has a GPU; choose another --device"),
    ],
)
def test_a_cluster_that_is_too_small(
    device: str, threads: int | None, nodes: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(RunError, match=message):
        Crew.of(nodes, ModelOptions(device=device, threads=threads))


def test_no_cluster(options: EmbedOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason=REASON)
    ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    with pytest.raises(RunError, match=r"cannot connect to a Ray cluster \(.*RAY_ADDRESS"):
        embed_images(options)
