"""Starts `lifted embed` again and again and kills each run at a random step; run by `test_resume.py`.

    python kill_embed.py KILLS OUT embed MODEL PHOTOS --out OUT ...

A run dies when it has taken a random number of steps: images decoded, files synced, renamed or linked. How fast the
machine is makes no difference. Prints how many parts there were at each death.
"""

import itertools
import os
import pathlib
import random
import signal
import sys
from pathlib import Path

from serve_cli.cli.main import main
from serve_cli.embed import decoding
from serve_cli.embeddings.part_formats import part_files

NEARLY_ALL = 12  # parts: then it begins again, so that not only the end is killed
MOST_STEPS = 60  # a part takes about 8


def counted(function, steps, last):
    """The function, except that the process dies at the last of the steps that all such functions share."""

    def step(*arguments, **named):
        if next(steps) >= last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    return step


def run(arguments, last):
    """One run, in a fork of this process; returns when it is dead or done."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    sys.argv = ["lifted", *arguments]
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    steps = itertools.count()
    for place, name in ((decoding, "read_image"), (os, "fsync"), (os, "link"), (pathlib.Path, "replace")):
        setattr(place, name, counted(getattr(place, name), steps, last))
    try:
        main()
    finally:
        os._exit(0)


if __name__ == "__main__":
    kills, out = int(sys.argv[1]), Path(sys.argv[2])
    chosen = random.Random(0)
    for _ in range(kills):
        if len(part_files(out)) >= NEARLY_ALL:
            for path in out.iterdir():
                path.unlink()
        run(sys.argv[3:], chosen.randint(0, MOST_STEPS))
        print(len(part_files(out)), flush=True)
