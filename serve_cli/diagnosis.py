"""Check what this host can train and serve with, and how to install what is missing, for `lifted doctor`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass

from gluon_lifted.errors import DeviceError
from gluon_lifted.extras import install_command
from gluon_lifted.hardware.cpus import cgroup_quota, usable_cpus
from gluon_lifted.hardware.gpus import (
    Gpu,
    list_gpus,
    mxnet_can_run,
    why_not,
)
from gluon_lifted.hardware.system import (
    PACKAGE_OF_LIBRARY,
    apt_line,
    missing_libraries,
    missing_packages,
    python_problem,
)
from serve_cli.model.providers import CUDA, import_onnxruntime
from serve_cli.provenance import version

OK, LIMITED, MISSING = "ok", "limited", "missing"
PROBE_SECONDS = 120  # a library takes seconds to load from a cold disk
MXNET_PROBE = "from gluon_lifted.hardware.mxnet_library import load_mxnet_library; load_mxnet_library()"
CUDA_PROBE = """
import ctypes, pathlib, onnxruntime
if hasattr(onnxruntime, "preload_dlls"):
    onnxruntime.preload_dlls()
folder = pathlib.Path(onnxruntime.__file__).parent / "capi"
ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"))
"""


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Parameters
    ----------
    name : str
        Software or hardware, e.g. ``"onnxruntime"``.
    needed_for : str
        ``"training"``, ``"serving"`` or ``"both"``.
    status : str
        ``"ok"``, ``"limited"`` (works, but not with everything that the host has) or ``"missing"``.
    found : str
        Version, model or problem, in words.
    cure : str
        What to do; empty if the status is ok.
    """

    name: str
    needed_for: str
    status: str
    found: str
    cure: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All checks, in reading order."""

    checks: tuple[Check, ...]

    @property
    def missing(self) -> int:
        """Number of checks with the status ``"missing"``."""
        return sum(check.status == MISSING for check in self.checks)

    def columns(self) -> list[str]:
        """Return the column heads for `rows`."""
        return ["", "status", "needed for", "found"]

    def rows(self) -> list[list[str]]:
        """Return one table row per check."""
        return [[check.name, check.status, check.needed_for, check.found] for check in self.checks]

    def cures(self) -> dict[str, str]:
        """Return what to do about each check that is not ok."""
        return {check.name: check.cure for check in self.checks if check.cure}


def examine() -> Diagnosis:
    """Check Python, system libraries, MXNet, onnxruntime, GPUs and CPU cores. Changes nothing, and never raises."""
    gpus = list_gpus()
    checks = [_python(), _numpy(), _libraries(), _mxnet(), _onnxruntime()]
    checks += (
        [_gpu(number, gpu) for number, gpu in enumerate(gpus)]
        if gpus
        else [Check("NVIDIA GPU", "both", OK, "none; the CPU is used")]
    )
    checks += [_cuda_provider()] if gpus else []
    return Diagnosis((*checks, _cores()))


def _python() -> Check:
    problem = python_problem((sys.version_info.major, sys.version_info.minor))
    running = platform.python_version()
    return Check("Python", "both", LIMITED if problem else OK, running, problem)


def _numpy() -> Check:
    installed = version("numpy")
    if int(installed.split(".", 1)[0]) < 2:
        return Check("NumPy", "both", OK, installed)
    return Check("NumPy", "both", LIMITED, installed, f"training needs NumPy below 2: {install_command('train')}")


def _libraries() -> Check:
    missing, packages = missing_libraries(), missing_packages()
    if not packages:
        return Check("system libraries", "training", OK, f"{len(PACKAGE_OF_LIBRARY)} of {len(PACKAGE_OF_LIBRARY)}")
    names = ", ".join(missing) or "Python's venv"
    return Check("system libraries", "training", MISSING, f"without {names}", apt_line(packages))


def _mxnet() -> Check:
    """Load MXNet's library in another process, since a missing one can crash it. An import would take seconds."""
    installed = [name for name in ("mxnet", "mxnet-cu112") if version(name)]
    if not installed:
        return Check("MXNet", "training", MISSING, "not installed", install_command("train"))
    problem = _probe(MXNET_PROBE)
    package = f"{installed[0]} {version(installed[0])}"
    if not problem:
        return Check("MXNet", "training", OK, package)
    cure = apt_line(missing_packages()) if missing_packages() else f"reinstall it: {install_command('train')}"
    return Check("MXNet", "training", MISSING, f"{package}: {problem}", cure)


def _onnxruntime() -> Check:
    try:
        onnxruntime = import_onnxruntime()
    except (DeviceError, ImportError) as error:  # ImportError: installed, but one of its libraries is missing
        cure = f"{install_command('serve')} (for NVIDIA GPUs: the extra serve-gpu)"
        return Check(
            "onnxruntime", "serving", MISSING, "not installed" if isinstance(error, DeviceError) else str(error), cure
        )
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    return Check("onnxruntime", "serving", OK, f"{onnxruntime.__version__}, providers {providers}")


def _gpu(number: int, gpu: Gpu) -> Check:
    name = f"gpu:{number}"
    major, minor = gpu.compute_capability
    hardware = f"{gpu.name}, {gpu.memory_bytes / 2**30:.0f} GiB, compute capability {major}.{minor}"
    if not mxnet_can_run(gpu):
        return Check(name, "training", LIMITED, hardware, why_not(gpu))
    if not version("mxnet-cu112"):
        cure = f"to train on it: {install_command('train-gpu')}"
        return Check(name, "training", LIMITED, hardware, cure)
    return Check(name, "training", OK, hardware)


def _cuda_provider() -> Check:
    """Check whether onnxruntime can use the GPU: it is built for CUDA, and the CUDA libraries load."""
    name, cure = "onnxruntime on the GPU", f"in a fresh environment: {install_command('serve-gpu')}"
    try:
        available = import_onnxruntime().get_available_providers()
    except (DeviceError, ImportError):
        return Check(name, "serving", MISSING, "not installed", cure)
    if CUDA not in available:
        return Check(name, "serving", MISSING, "this onnxruntime is built without CUDA", cure)
    problem = _probe(CUDA_PROBE)
    if not problem:
        return Check(name, "serving", OK, "CUDA libraries load")
    return Check(name, "serving", MISSING, problem, "pip install 'onnxruntime-gpu[cuda,cudnn]'")


def _cores() -> Check:
    quota = cgroup_quota()
    usable = f"{usable_cpus()} of {os.cpu_count()}" + (f", quota {quota:g}" if quota is not None else "")
    return Check("CPU cores", "both", OK, usable)


def _probe(code: str) -> str:
    """Run ``code`` in another Python. Return the problem in one line, or an empty string."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {PROBE_SECONDS} s"
    if done.returncode < 0:
        return f"crashed with signal {-done.returncode}"
    lines = done.stderr.strip().splitlines()
    return (lines[-1] if lines else f"exit status {done.returncode}") if done.returncode else ""
