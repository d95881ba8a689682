import os

import pytest

from gluon_lifted.hardware import cpus
from gluon_lifted.hardware.cpus import cgroup_quota, usable_cpus


def tree(root, groups, **files):
    """Create a fake /proc and /sys; ``files`` maps cgroup folders to their content."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def v1(folder, quota, period=100_000):
    return {f"{folder}__cpu_DOT_cfs_quota_us": f"{quota}\n", f"{folder}__cpu_DOT_cfs_period_us": f"{period}\n"}


def v2(folder, content):
    return {f"{folder}__cpu_DOT_max".removeprefix("__"): content + "\n"}


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", v2("", "150000 100000"), 1.5),
        ("0::/\n", v2("", "max 100000"), None),
        ("0::/a/b\n", {**v2("a__b", "max 100000"), **v2("a", "200000 100000")}, 2.0),  # the parent limits too
        ("0::/a/b\n", {**v2("a__b", "50000 100000"), **v2("a", "200000 100000")}, 0.5),
        ("0::/host/only\n", v2("", "300000 100000"), 3.0),  # a container that sees its own group as the root
        ("4:memory:/x\n1:cpu,cpuacct:/\n", v1("cpu,cpuacct", 250_000), 2.5),
        ("1:cpu:/docker/abc\n", v1("cpu", 400_000), 4.0),
        ("1:cpu:/g\n", {**v1("cpu", -1), **v1("cpu__g", 100_000)}, 1.0),
        ("1:cpu:/\n0::/\n", v1("cpu", -1), None),
        ("1:cpuset:/\n", v1("cpuset", 100_000), None),
        ("1:cpu:/\n", v1("cpu", 100_000, period=0), None),
        ("0::/\n", v2("", "nonsense"), None),
    ],
)
def test_quota(tmp_path, groups, files, quota):
    assert cgroup_quota(tree(tmp_path, groups, **files)) == quota


def test_hybrid_hierarchy(tmp_path):
    assert cgroup_quota(tree(tmp_path, "0::/\n", **v2("unified", "100000 100000"))) == 1.0


def test_machine_without_cgroups(tmp_path):
    assert cgroup_quota(tmp_path) is None


@pytest.mark.parametrize(("quota", "usable"), [(None, 8), (0.5, 1), (1.5, 2), (3.0, 3), (64.0, 8)])
def test_quota_lowers_the_affinity(monkeypatch, quota, usable):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(cpus, "cgroup_quota", lambda: quota)
    assert usable_cpus() == usable


def test_system_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(cpus, "cgroup_quota", lambda: None)
    assert usable_cpus() == 6
