"""CPU cores that this process may use, by affinity and container quota, and their instruction sets."""

from __future__ import annotations

import math
import os
import platform
from contextlib import suppress
from pathlib import Path

from gluon_lifted.hardware.cgroups import cgroup_folders


def usable_cpus() -> int:
    """Count the cores of this process's affinity, limited to its cgroup quota (rounded up, at least 1)."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def instruction_sets(root: Path = Path("/")) -> str:
    """Return the processor's feature flags, by which runtimes choose kernels; its name where flags are unknown."""
    with suppress(OSError):
        for line in (root / "proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line.split(":", 1)[-1].strip()
    return f"{platform.machine()} {platform.processor()}"


def sums_int8(instructions: str) -> bool:
    """Check whether a processor sums int8 products in 32 bits. Before VNNI, x86 uses 16 bits, which overflow."""
    return "sse2" not in instructions.split() or "vnni" in instructions


def has_bfloat16_units(instructions: str) -> bool:
    """Check whether a processor multiplies bfloat16 natively, by its flags in Linux."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(instructions.split())


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """Return the cores that the cgroups of this process allow (CPU time per wall time), or None without a limit.

    A group is also limited by its ancestors, so the smallest quota of all levels counts.

    Parameters
    ----------
    root : Path
        Folder that contains ``proc`` and ``sys``; tests pass a fake tree.
    """
    quotas = [quota for folder in cgroup_folders(root, "cpu") if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def _quota_of(folder: Path) -> float | None:
    """Read "quota period" or "max period" from ``cpu.max`` (v2), or the two files of v1, where -1 is no limit."""
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
