"""How many CPU cores this process may use: its affinity and its container's quota, not the host's count."""

from __future__ import annotations

import math
import os
import platform
from contextlib import suppress
from pathlib import Path

from gluon_lifted.hardware.cgroups import cgroup_folders


def usable_cpus() -> int:
    """Cores that this process may be scheduled on, lowered to its cgroup's quota rounded up; at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def instruction_sets(root: Path = Path("/")) -> str:
    """What the processor can do, by which runtimes choose layouts and kernels; its name where that is not told."""
    with suppress(OSError):
        for line in (root / "proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line.split(":", 1)[-1].strip()
    return f"{platform.machine()} {platform.processor()}"


def sums_int8(instructions: str) -> bool:
    """Whether a processor sums products of int8 in 32 bits; x86 before VNNI does it in 16 bits, which overflow."""
    return "sse2" not in instructions.split() or "vnni" in instructions


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """The CPU time per wall time that the cgroups of this process allow, in cores; None without a limit.

    A group is limited by its ancestors too, so every level is read and the smallest quota counts. In a
    container the path in ``/proc/self/cgroup`` may be the host's; its missing levels are passed over.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` lie; tests put a made-up tree here.
    """
    quotas = [quota for folder in cgroup_folders(root, "cpu") if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def _quota_of(folder: Path) -> float | None:
    """``cpu.max`` holds "quota period" or "max period" (v2); v1 keeps two files and -1 for no limit."""
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        cores = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None
