"""The control groups that limit this process, as Linux and its containers have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's group and its ancestors: cgroup v2, and one controller of v1.

    In a container the path in ``/proc/self/cgroup`` may be the host's; its missing levels are passed over by those
    who read files there.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` lie; tests put a made-up tree here.
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
