"""Memory of this machine, of its container and of this process, in bytes."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from pathlib import Path

from gluon_lifted.hardware.cgroups import cgroup_folders

UNKNOWN = 4 << 30  # taken for a machine that does not tell
KIB = 1024
M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BLOCK = 8 << 20


def usable_memory(root: Path = Path("/")) -> int:
    """What the machine has, or what the cgroups of this process allow, if that is less.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` lie; tests put a made-up tree here.
    """
    limits = [_limit_of(folder) for folder in cgroup_folders(root, "memory")]
    installed = _field(root / "proc/meminfo", "MemTotal:") or UNKNOWN
    return min([installed, *(limit for limit in limits if limit is not None)])


def resident_memory() -> int:
    """What this process takes now; its peak where that is all that is told."""
    return _field(Path("/proc/self/status"), "VmRSS:") or _peak_by_resource()


def peak_memory() -> int:
    """The most that this process has taken so far. Linux's ``ru_maxrss`` would count the parent's, too."""
    return _field(Path("/proc/self/status"), "VmHWM:") or _peak_by_resource()


def return_large_blocks() -> None:
    """Have freed blocks of 8 MiB and more go back to the system.

    glibc keeps those of up to 32 MiB for each thread once it has seen them freed, which is much if images are large.
    Other C libraries have no such switch.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def _peak_by_resource() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _field(path: Path, name: str) -> int:
    """A number of KiB in one of Linux's tables, in bytes; 0 if it is not there."""
    with suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return KIB * int(line.split()[1])
    return 0


def _limit_of(folder: Path) -> int | None:
    """``memory.max`` holds a number or "max" (cgroup v2); v1 has another name, and a very large number."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            return int((folder / name).read_text())
    return None
