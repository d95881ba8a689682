"""The Linux control groups that limit this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """List the folders of this process's group and its ancestors: those of cgroup v2 and of one controller of v1.

    In a container the path in ``/proc/self/cgroup`` may be the host's, so some of the folders may not exist.

    Parameters
    ----------
    root : Path
        Folder that contains ``proc`` and ``sys``; tests pass a fake tree.
    controller : str
        ``"cpu"`` or ``"memory"``.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            tops = [mounts, mounts / "unified"]
        elif controller in controllers.split(","):
            tops = [mounts / controllers, mounts / controller]
        else:
            continue
        for top in tops:
            folder = top / group.lstrip("/")
            yield from (level for level in (folder, *folder.parents) if level.is_relative_to(top))
