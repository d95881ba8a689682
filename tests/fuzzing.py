"""What the fuzzers share: damage done to bytes, and a loop that runs for a given time."""

from __future__ import annotations

import argparse
import random
import resource
import time
import traceback
import warnings
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_MEMORY, MOST_SECONDS = 4 << 30, 10.0


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """Change, delete, duplicate or overwrite a few random stretches."""
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        offset = rng.randrange(len(damaged) + 1)
        kind = rng.randrange(4)
        if kind == 0 and offset < len(damaged):
            damaged[offset] = rng.randrange(256)
        elif kind == 1:
            del damaged[offset : offset + rng.choice([1, 4, 8, 100])]
        elif kind == 2:
            damaged[offset:offset] = damaged[offset : offset + rng.choice([1, 8, 100])]
        else:
            damaged[offset : offset + 8] = rng.choice([b"\xff" * 8, b"\0" * 8, (2**40).to_bytes(8, "little")])
    return bytes(damaged)


def fuzz(description: str, attempt: Callable[[random.Random], str]) -> int:
    """Call ``attempt`` with one seed after another until the time given on the command line is over.

    Parameters
    ----------
    description : str
        Shown by ``--help``.
    attempt : callable
        Runs one damaged case and returns its outcome as a word. Any exception is a find.

    Returns
    -------
    int
        The exit status: 1 if a case raised, or took more than 10 s. Both are printed with their seed.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case (default: %(default)s)")
    options = parser.parse_args()
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    ends, seed = time.monotonic() + 60 * options.minutes, options.seed
    counts: Counter[str] = Counter(failed=0)
    while time.monotonic() < ends:
        started = time.monotonic()
        try:
            counts[attempt(random.Random(seed))] += 1
        except Exception:  # an exception that is not the project's own is what the fuzzer looks for
            counts["failed"] += 1
            print(f"seed {seed}:\n{traceback.format_exc()}", flush=True)
        if time.monotonic() - started > MOST_SECONDS:
            counts["failed"] += 1
            print(f"seed {seed}: {time.monotonic() - started:.1f} s", flush=True)
        seed += 1
    print(f"{seed - options.seed:,} cases, {options.minutes:g} minutes: {dict(counts)}")
    return 1 if counts["failed"] else 0
