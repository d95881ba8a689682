"""Compute parts with the workers of a Ray cluster, through Ray Data.

Each item of the Ray dataset is the number of a part. A worker is a `PartWorker`, as on a single host. Ray assigns parts
to workers. If a host or process dies, Ray restarts the worker and its part.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import LiftedError, RunError
from gluon_lifted.extras import install_command
from gluon_lifted.hardware.cpus import usable_cpus
from gluon_lifted.hardware.memory import peak_memory, usable_memory
from serve_cli.embed.embed_rows import status_text
from serve_cli.embed.embed_run import open_run
from serve_cli.embed.part_worker import FAILURES_SHOWN, PartWorker, Work
from serve_cli.embed.stage_times import StageTimes
from serve_cli.embeddings.resume_plan import read_plan
from serve_cli.provenance import version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluon_lifted.progress import Progress
    from serve_cli.embed.embed_options import EmbedOptions
    from serve_cli.embed.embed_run import EmbedRun
    from serve_cli.embeddings.resume_plan import Survey
    from serve_cli.model.model_options import ModelOptions

PACKAGE = "gluon-lifted"


def compute_on_ray(run: EmbedRun, missing: list[int], progress: Progress) -> Work:
    """Compute parts on the cluster at ``RAY_ADDRESS``, else on the one on this host, else on a new local one.

    Raises
    ------
    RunError
        If Ray is not installed or fails, or a worker does not see the folder.
    LiftedError
        As raised by a worker.
    """
    with _cluster() as ray:
        crew = Crew.of(ray.nodes(), run.options.model_options)
        rows_done, failed = run.rows_of(run.mine) - run.rows_of(missing), 0
        times, failures, peak = StageTimes(), list[str](), 0
        run.folder.claim()
        for done in _results(ray, run, missing, crew) if missing else ():
            rows_done, failed = rows_done + done["rows"], failed + done["failed"]
            times.add(StageTimes(**done["times"]))
            failures += list(done["failures"])[: FAILURES_SHOWN - len(failures)]
            peak = max(peak, done["peak_memory"])
            progress.update(rows_done, status_text(failed, times))
    run.folder.look_again()
    return Work(times, failures, crew.workers, crew.threads, peak)


@dataclass(frozen=True)
class Crew:
    """The number of workers on a cluster, and the resources of each.

    Parameters
    ----------
    workers : int
        Over all hosts.
    threads, gpus : int
        Per worker.
    """

    workers: int
    threads: int
    gpus: int

    @classmethod
    def of(cls, nodes: list[dict[str, Any]], model_options: ModelOptions) -> Crew:
        """Place one worker per GPU, or on CPUs one per host with all its cores, or one per ``threads`` cores.

        Parameters
        ----------
        nodes : list of dict
            From ``ray.nodes()``.
        model_options : ModelOptions
            Its ``device`` and ``threads`` are used.

        Raises
        ------
        RunError
            If no host has a GPU, or enough cores.
        """
        resources = [node["Resources"] for node in nodes if node["Alive"]]
        hosts = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in resources]
        on_gpu = model_options.device in ("gpu", "tensorrt")
        if on_gpu:
            hosts = [(cpus // gpus, gpus) for cpus, gpus in hosts if gpus]
            if not hosts:
                raise RunError("no host of the Ray cluster has a GPU; choose another --device.")
        threads = model_options.threads or min((cpus for cpus, _ in hosts if cpus), default=1)
        workers = sum(gpus if on_gpu else cpus // threads for cpus, gpus in hosts if cpus >= threads)
        if not workers:
            raise RunError(f"the Ray cluster has no host with {threads} cores; give fewer --threads.")
        return cls(workers, threads, int(on_gpu))


def _results(ray: Any, run: EmbedRun, missing: list[int], crew: Crew) -> Iterator[dict[str, Any]]:
    plan, options = run.plan, run.options
    source = options.source if "://" in str(options.source) else os.path.abspath(options.source)
    settings = replace(
        options,
        model=Path(options.model).absolute(),
        source=source,
        out=Path(options.out).absolute(),
        model_options=replace(options.model_options, threads=crew.threads, batch_size=plan.batch_size),
        overwrite=False,
    )
    parts = ray.data.from_items([{"number": number} for number in missing], override_num_blocks=len(missing))
    workers = min(crew.workers, len(missing))
    done = parts.map(
        _Actor,
        fn_constructor_args=[settings, plan.survey, version(PACKAGE)],
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
        num_cpus=crew.threads,
        num_gpus=crew.gpus,
    )
    try:
        yield from done.iter_rows()
    except Exception as error:  # Ray wraps a worker's error in classes without a common base
        raise _unwrapped(error) from error


class _Actor:
    """A `PartWorker` in a Ray process."""

    def __init__(self, options: EmbedOptions, surveyed: Survey, release: str) -> None:
        self._arguments = options, surveyed, release
        self._worker: PartWorker | None = None  # opened with the first part, so that Ray passes its error on

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        self._worker = worker = self._worker or self._open(*self._arguments)
        worker.times, worker.failures = StageTimes(), []
        part = worker.write(int(item["number"]))
        return {
            "rows": part.rows,
            "failed": part.failed,
            "failures": worker.failures,
            "times": asdict(worker.times),
            "peak_memory": peak_memory(),
        }

    @staticmethod
    def _open(options: EmbedOptions, surveyed: Survey, release: str) -> PartWorker:
        host = socket.gethostname()
        if version(PACKAGE) != release:
            raise RunError(
                f"{host}: has {PACKAGE} {version(PACKAGE)}, but the run was started with {release}; install that "
                "version there."
            )
        if read_plan(Path(options.out)) is None:
            raise RunError(f"{options.out}: does not exist on {host}; give a folder on a disk that all hosts share.")
        share = min(options.model_options.num_threads / usable_cpus(), 1)
        memory = int(share * usable_memory() / 2) if options.max_memory is None else options.max_memory
        return PartWorker(open_run(replace(options, max_memory=memory), surveyed))


@contextmanager
def _cluster() -> Iterator[Any]:
    """Connect Ray to a cluster, with nothing but errors on stderr."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the default of Ray's next version
    try:
        import ray
        import ray.data
    except ImportError:
        raise RunError(f"Ray is not installed; --engine ray needs it: `{install_command('ray')}`.") from None
    joined = ray.is_initialized()
    if not joined:
        on_terminate = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # network errors, bad values, timeouts and others
            raise RunError(
                f"cannot connect to a Ray cluster ({error!s:.300}). Set RAY_ADDRESS to its address, or start one with "
                "`ray start --head`."
            ) from error
        signal.signal(signal.SIGTERM, on_terminate)  # Ray's handler would exit with another status
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    settings = ray.data.DataContext.get_current()
    settings.enable_progress_bars = settings.print_on_execution_start = False
    settings.raise_original_map_exception = True
    try:
        yield ray
    finally:
        if not joined:
            ray.shutdown()


def _unwrapped(error: BaseException) -> LiftedError:
    """Extract the worker's error from Ray's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LiftedError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return RunError(f"Ray failed: {type(error).__name__}: {error!s:.500}")
