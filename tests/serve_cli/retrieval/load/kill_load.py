"""Starts `lifted load` again and again and kills each run at a random step; run by `test_kills.py`.

    python kill_load.py KILLS SEED BATCH_ROWS load EMB --to URL

A run dies when it has taken a random number of steps: statements that are executed, pieces of a COPY that are sent, and
the end of transactions. Prints the steps and the exit status of each run: 0 if it was done before.
"""

import itertools
import os
import random
import signal
import sys

import psycopg

from serve_cli.cli.main import main
from serve_cli.retrieval.load.targets.postgres.target import PostgresTarget

MOST_STEPS = 80


def counted(function, steps, last):
    """The function, except that the process dies at the last of the steps that all such functions share."""

    def step(*arguments, **named):
        if next(steps) >= last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    return step


def run(arguments, last):
    """One run, in a fork of this process; returns its exit status when it is dead or done."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    sys.argv = ["lifted", *arguments]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    steps = itertools.count()
    for owner, name in ((psycopg.Cursor, "execute"), (psycopg.Copy, "write"), (psycopg.Copy, "__exit__")):
        setattr(owner, name, counted(getattr(owner, name), steps, last))
    try:
        main()
    except SystemExit as stop:
        os._exit(stop.code or 0)
    finally:
        os._exit(0)


if __name__ == "__main__":
    chosen = random.Random(int(sys.argv[2]))
    PostgresTarget.batch_rows = int(sys.argv[3])
    for _ in range(int(sys.argv[1])):
        last = chosen.randint(0, MOST_STEPS)
        print(last, run(sys.argv[4:], last), flush=True)
