import subprocess
import sys
from pathlib import Path

import pytest

from gluon_lifted.hardware.memory import available_memory, usable_memory

GIB = 1 << 30


def machine(root, groups, **limits):
    """Create a fake /proc and /sys of a host with 8 GiB; ``limits`` maps files below ``sys/fs/cgroup``."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(
        f"MemTotal:  {8 * GIB // 1024} kB\nMemFree:  1 kB\nMemAvailable: {6 * GIB // 1024} kB\n"
    )
    (root / "proc/self/cgroup").write_text(groups)
    for name, content in limits.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "gib"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"memory_DOT_max": "max"}, 8),
        ("0::/\n", {"memory_DOT_max": 2 * GIB}, 2),
        ("0::/a/b\n", {"a__b__memory_DOT_max": "max", "a__memory_DOT_max": 3 * GIB}, 3),
        ("5:memory:/x\n", {"memory__x__memory_DOT_limit_in_bytes": GIB}, 1),
        ("5:memory:/\n", {"memory__memory_DOT_limit_in_bytes": (1 << 63) - 4096}, 8),
        ("5:cpu:/x\n", {"cpu__x__memory_DOT_limit_in_bytes": GIB}, 8),
    ],
)
def test_usable_memory(tmp_path, groups, limits, gib):
    assert usable_memory(machine(tmp_path, groups, **limits)) == gib * GIB


@pytest.mark.parametrize(
    ("groups", "limits", "gib"),
    [
        ("0::/\n", {}, 6),
        ("0::/\n", {"memory_DOT_max": "max", "memory_DOT_current": GIB}, 6),
        ("0::/\n", {"memory_DOT_max": 5 * GIB, "memory_DOT_current": 2 * GIB}, 3),
        (
            "0::/a/b\n",
            {
                "a__b__memory_DOT_max": 5 * GIB, "a__b__memory_DOT_current": GIB,
                "a__memory_DOT_max": 6 * GIB, "a__memory_DOT_current": 5 * GIB,
                "a__memory_DOT_stat": f"anon 5\ninactive_file {GIB}\nactive_file 9",
            },
            2,
        ),
        (
            "5:memory:/x\n",
            {
                "memory__x__memory_DOT_limit_in_bytes": 3 * GIB, "memory__x__memory_DOT_usage_in_bytes": 2 * GIB,
                "memory__x__memory_DOT_stat": f"inactive_file 7\ntotal_inactive_file {GIB}",
            },
            2,
        ),
        ("0::/\n", {"memory_DOT_max": GIB, "memory_DOT_current": 2 * GIB}, 0),
        ("0::/\n", {"memory_DOT_max": GIB}, 1),
    ],
)  # fmt: skip
def test_available_memory(tmp_path, groups, limits, gib):
    assert available_memory(machine(tmp_path, groups, **limits)) == gib * GIB


def test_a_machine_that_does_not_tell(tmp_path):
    assert usable_memory(tmp_path) == available_memory(tmp_path) == 4 * GIB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory in use is read from Linux's /proc")
def test_memory_of_this_process():
    """In a new process: one that has freed much memory may reuse it."""
    script = """
import numpy as np
from gluon_lifted.hardware.memory import peak_memory, resident_memory
before = resident_memory()
block = np.ones(64 << 20, np.uint8)
assert resident_memory() - before > 60 << 20
assert peak_memory() >= before + (60 << 20)
peak = peak_memory()
del block
assert resident_memory() < before + (10 << 20)
assert peak_memory() >= peak - (1 << 20)  # the kernel's count lags a little
"""
    run = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
