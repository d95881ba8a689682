"""Hide credentials of the command line from the list of processes."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

ARG_START = 47  # "arg_start" in proc(5), /proc/pid/stat, counted from 0
MASK = b"*"


def hide_argument(secret: str) -> None:
    """Overwrite an argument with asterisks in what ``ps`` shows of this process.

    The argument is visible from the start of the process until this call. It is hidden on Linux only, and only if the
    process may write to its own memory. Elsewhere nothing happens.
    """
    if not secret or not sys.platform.startswith("linux"):
        return
    wanted = secret.encode(errors="surrogateescape")
    with suppress(OSError, ValueError, IndexError):
        shown = Path("/proc/self/cmdline").read_bytes()
        stat = Path("/proc/self/stat").read_text()
        start = int(stat.rpartition(")")[2].split()[ARG_START - 2])  # a process name may contain blanks
        position = shown.find(wanted)
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            while position >= 0:
                memory.seek(start + position)
                memory.write(MASK * len(wanted))
                position = shown.find(wanted, position + len(wanted))
