"""Memory of this host, of its container and of this process, in bytes."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from pathlib import Path

from gluon_lifted.hardware.cgroups import cgroup_folders

DEFAULT_MEMORY = 4 << 30  # assumed where the host's memory cannot be read
KIB = 1024
M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BLOCK = 8 << 20


def usable_memory(root: Path = Path("/")) -> int:
    """Return the smaller of the host's memory and the limits of this process's cgroups.

    Parameters
    ----------
    root : Path
        Folder that contains ``proc`` and ``sys``; tests pass a fake tree.
    """
    limits = [_limit_of(folder) for folder in cgroup_folders(root, "memory")]
    installed = _field(root / "proc/meminfo", "MemTotal:") or DEFAULT_MEMORY
    return min([installed, *(limit for limit in limits if limit is not None)])


def available_memory(root: Path = Path("/")) -> int:
    """Return the memory that this process can still take without swapping: of the host, and of each of its cgroups.

    Parameters
    ----------
    root : Path
        Folder that contains ``proc`` and ``sys``; tests pass a fake tree.
    """
    free = [_free_in(folder) for folder in cgroup_folders(root, "memory")]
    on_host = _field(root / "proc/meminfo", "MemAvailable:") or DEFAULT_MEMORY
    return max(0, min([on_host, *(size for size in free if size is not None)]))


def resident_memory() -> int:
    """Return the current memory of this process; its peak where only that is known."""
    return _field(Path("/proc/self/status"), "VmRSS:") or _peak_by_resource()


def peak_memory() -> int:
    """Return the peak memory of this process. On Linux ``ru_maxrss`` would include the parent's peak."""
    return _field(Path("/proc/self/status"), "VmHWM:") or _peak_by_resource()


def return_large_blocks() -> None:
    """Make malloc return freed blocks of 8 MiB and more to the system.

    By default glibc keeps freed blocks of up to 32 MiB in each thread, which is a lot of memory if images are large.
    Other C libraries have no such setting.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def _peak_by_resource() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _field(path: Path, name: str) -> int:
    """Read a number of KiB from a file in /proc and return bytes; 0 if it is missing."""
    with suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return KIB * int(line.split()[1])
    return 0


def _limit_of(folder: Path) -> int | None:
    """Read ``memory.max`` (cgroup v2, a number or "max") or ``memory.limit_in_bytes`` (v1, very large if unlimited)."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            return int((folder / name).read_text())
    return None


def _free_in(folder: Path) -> int | None:
    """Return a cgroup's limit minus its usage. Pages of files that were read once do not count: they are dropped."""
    limit = _limit_of(folder)
    if limit is None:
        return None
    for usage, reclaimable in (("memory.current", "inactive_file"), ("memory.usage_in_bytes", "total_inactive_file")):
        with suppress(OSError, ValueError):
            used = int((folder / usage).read_text())
            return limit - used + _statistic(folder / "memory.stat", reclaimable)
    return limit


def _statistic(path: Path, name: str) -> int:
    """Read a number of bytes from a cgroup's ``memory.stat``; 0 if it is missing."""
    with suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    return 0
