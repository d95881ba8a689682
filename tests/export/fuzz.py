"""Hostile symbols and parameters, without end: `python -m tests.export.fuzz --minutes 10 [--seed 0]`.

Files of networks that translate are damaged at random: bytes changed, cut out, doubled; attributes, inputs, names and
operators exchanged for junk. Each must end in a model or in one of our own errors, within seconds and within bounded
memory. Anything else is printed with its seed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
import traceback
import warnings
from typing import Any

from export.model import build_model
from export.optimise import optimise
from export.params import parse_params
from export.registry import TRANSLATORS
from export.symbol import parse_symbol
from export.translate import translate
from gluon_lifted.errors import LiftedError
from tests.export.mxnet_files import Net
from tests.export.networks import CROP, small_network
from tests.export.op_cases import CASES, ROW

MOST_MEMORY, MOST_SECONDS = 4 << 30, 10.0
JUNK_TEXTS = [
    *("", "0", "-1", "1", "7", "999999999", "-999999999", "99999999999999999999", "1e38", "-0.0", "nan", "inf", "None"),
    *("()", "(0, 0)", "(-1, -1)", "(999999999, 999999999)", "(1,)", "(0, -4, -1, -1)", "(None, None)", "((1, 2), 3)"),
    *("True", "max", "float16", "valid", "constant", "x" * 2000, "\ud800", "\0", "(" * 500, "1" * 400),
]
JUNK_NAMES = ["axis", "shape", "kernel", "pad", "num_filter", "begin", "dtype", "mystery"]
JUNK_VALUES: list[Any] = [
    *(None, True, -1, 2**63, 1e308, "", "data", [], {}),
    *([[0, 0, 0]] * 50, [[-1, 0, 0]], [[0, 2**40, 0]]),
]


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        place = rng.randrange(len(damaged) + 1)
        kind = rng.randrange(4)
        if kind == 0 and place < len(damaged):
            damaged[place] = rng.randrange(256)
        elif kind == 1:
            del damaged[place : place + rng.choice([1, 4, 8, 100])]
        elif kind == 2:
            damaged[place:place] = damaged[place : place + rng.choice([1, 8, 100])]
        else:
            damaged[place : place + 8] = rng.choice([b"\xff" * 8, b"\0" * 8, (2**40).to_bytes(8, "little")])
    return bytes(damaged)


def damaged_symbol(net: Net, rng: random.Random) -> bytes:
    symbol = json.loads(net.symbol_bytes())
    for _ in range(rng.choice([1, 1, 2, 4])):
        node = rng.choice(symbol["nodes"])
        kind = rng.randrange(6)
        attrs = node.setdefault("attrs", {})
        if kind == 0 and attrs:
            attrs[rng.choice(list(attrs))] = rng.choice(JUNK_TEXTS)
        elif kind == 1:
            attrs[rng.choice(JUNK_NAMES)] = rng.choice(JUNK_TEXTS)
        elif kind == 2 and node["inputs"]:
            rng.choice(node["inputs"])[rng.randrange(2)] = rng.randrange(-2, len(symbol["nodes"]) + 2)
        elif kind == 3:
            node["op"] = rng.choice([*TRANSLATORS, "null", ""])
        elif kind == 4:
            node[rng.choice(["op", "name", "inputs", "attrs"])] = rng.choice(JUNK_VALUES)
            if not isinstance(node["attrs"], dict) or not isinstance(node["inputs"], list):
                break
        else:
            symbol[rng.choice(["nodes", "heads", "arg_nodes"])] = rng.choice([*JUNK_VALUES, symbol["nodes"] * 3])
            break
    return json.dumps(symbol).encode()


def attempt(rng: random.Random) -> str:
    """One damaged network; what became of it, in a word."""
    some = [(case.net(half=rng.random() < 0.3), ROW) for case in rng.sample(CASES, 3)]
    net, row = rng.choice([(small_network(), (3, CROP, CROP)), *some])
    symbol, params = net.symbol_bytes(), net.params_bytes()
    kind, half = rng.randrange(3), rng.random() < 0.3
    if kind == 0:
        symbol = damaged_bytes(symbol, rng)
    elif kind == 1:
        symbol = damaged_symbol(net, rng)
    else:
        params = damaged_bytes(params, rng)
    try:
        graph = optimise(
            translate(parse_symbol(symbol, "s"), parse_params(params, "p"), row, "s"),
            half=half,
        )
        build_model(graph, 17)
    except LiftedError:
        return "refused"
    return "translated"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the next has the next (%(default)s)")
    options = parser.parse_args()
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    ends, seed = time.monotonic() + 60 * options.minutes, options.seed
    counts = {"refused": 0, "translated": 0, "failed": 0}
    while time.monotonic() < ends:
        started = time.monotonic()
        try:
            counts[attempt(random.Random(seed))] += 1
        except Exception:  # any other than our own is what is looked for
            counts["failed"] += 1
            print(f"seed {seed}:\n{traceback.format_exc()}", flush=True)
        if time.monotonic() - started > MOST_SECONDS:
            counts["failed"] += 1
            print(f"seed {seed}: {time.monotonic() - started:.1f} s", flush=True)
        seed += 1
    print(f"{seed - options.seed:,} cases, {options.minutes:g} minutes: {counts}")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
