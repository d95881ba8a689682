"""Starts `lifted embed` again and again and kills each run at a random moment; run by `test_resume.py`.

    python kill_embed.py KILLS OUT embed MODEL PHOTOS --out OUT ...

Runs are forked from a process that has imported everything, so that they are in the middle of their work when they die.
Prints how many parts there were at each death.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from serve_cli.main import main
from serve_cli.runtime.storage.layout import part_files

NEARLY_ALL = 12  # parts: then it begins again, so that not only the end is killed


def start(arguments: list[str]) -> int:
    """The process id of a run."""
    child = os.fork()
    if child == 0:
        sys.argv = ["lifted", *arguments]
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        try:
            main()
        finally:
            os._exit(0)
    return child


def kill(child: int, out: Path, moments: random.Random) -> None:
    """After a random number of further parts and a random pause, or once it is done."""
    parts, began = len(part_files(out)) + moments.randint(0, 4), time.monotonic()
    while len(part_files(out)) < parts and time.monotonic() - began < 2:
        time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    kills, out = int(sys.argv[1]), Path(sys.argv[2])
    moments = random.Random(0)
    for _ in range(kills):
        if len(part_files(out)) >= NEARLY_ALL:
            for path in out.iterdir():
                path.unlink()
        kill(start(sys.argv[3:]), out, moments)
        print(len(part_files(out)), flush=True)
