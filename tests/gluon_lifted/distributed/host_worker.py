"""One host of test_collectives.py: ``python host_worker.py SPEC LIMITS ACTION``, the first two as JSON."""

import json
import os
import pickle
import signal
import sys
import time
from pathlib import Path

import numpy as np

from gluon_lifted.distributed import ClusterSpec, Limits, join_cluster
from gluon_lifted.errors import DataError, LiftedError
from gluon_lifted.training.interrupt import interruptible

ROUNDS = 20
SHAPES = {"one": (1,), "matrix": (7, 3), "cube": (2, 3, 4), "million": (1_000_000,)}


def say(**facts):
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def numbers(index, round_number, shape, dtype=np.float32):
    """What host ``index`` adds in a round; anyone can compute it."""
    return np.random.default_rng([index, round_number, *shape]).normal(size=shape).astype(dtype)


def sums(cluster):
    """Every sum against NumPy's, with the earlier ones left as they were."""
    from gluon_lifted.mx import nd

    largest, kept = 0.0, []
    for turn in range(ROUNDS):
        for name, shape in SHAPES.items():
            own = nd.array(numbers(cluster.index, turn, shape))
            total = cluster.all_sum(name, own)
            addends = [numbers(index, turn, shape) for index in range(cluster.size)]
            expected = np.sum(addends, axis=0, dtype=np.float32)
            assert total.shape == shape
            assert total.dtype == np.float32
            np.testing.assert_array_equal(own.asnumpy(), addends[cluster.index])
            largest = max(largest, np.abs(total.asnumpy() - expected).max())
            if name == "matrix":
                kept.append((total, expected))
    late = max(np.abs(total.asnumpy() - expected).max() for total, expected in kept)
    say(largest=float(largest), late=float(late))


def derived(cluster):
    """float64, many arrays at a time, a state from host 0, flags, texts; a pickle sent to the server."""
    from gluon_lifted.mx import nd

    fine = cluster.all_sum("fine", nd.array([2.0**-40 * (1 + cluster.index), 1.0], dtype=np.float64)).asnumpy()
    np.testing.assert_array_equal(fine, [2.0**-40 * sum(range(1, cluster.size + 1)), cluster.size])
    shapes = [(3, 2), (5,), (1, 1, 4)]
    for turn in range(3):
        many = [[np.round(numbers(index, turn, shape), 0) for shape in shapes] for index in range(cluster.size)]
        totals = cluster.all_sum_many("many", [nd.array(array) for array in many[cluster.index]])
        for index, array in enumerate(totals):
            expected = sum(arrays[index] for arrays in many)  # whole numbers: exact
            np.testing.assert_array_equal(array.asnumpy(), expected)
    assert cluster.all_sum_many("none", []) == []

    def state(index):
        weights = numbers(index, 0, (1100, 1000))  # more than one chunk of a broadcast
        return {"weights": weights, "half": numbers(index, 1, (3,), np.float16), "updates": np.array(7.0 + index)}

    mine = state(cluster.index)
    received = cluster.broadcast(mine)
    for name, value in state(0).items():
        np.testing.assert_array_equal(received[name], value)
        assert (received[name].shape, received[name].dtype) == (value.shape, value.dtype)
        np.testing.assert_array_equal(mine[name], state(cluster.index)[name])
    last = cluster.index == cluster.size - 1
    assert cluster.any("flag", flag=last) is True
    assert cluster.any("flag", flag=False) is False
    cluster.require_same("data set", "photos")
    say(text=refusal(lambda: cluster.require_same("data set", f"photos {last}")))
    say(state=refusal(lambda: cluster.broadcast(mine if cluster.is_writer else {**mine, "weights": np.zeros((2, 2))})))
    say(integers=refusal(lambda: cluster.all_sum("wrong", nd.zeros(3, dtype="int32"))))
    say(half=refusal(lambda: cluster.all_sum("wrong", nd.zeros(3, dtype="float16"))))
    planted = Path(sys.argv[4])
    if cluster.is_writer:  # what `KVStore.set_optimizer` sends, with code in it
        cluster._store._send_command_to_servers(0, pickle.dumps(Planted(planted), 0).decode("ascii"))
    cluster.barrier()
    say(unpickled=planted.exists())
    say(index=cluster.index, size=cluster.size, is_writer=cluster.is_writer)


def refusal(function):
    """The text of the error that ``function`` raises."""
    try:
        function()
    except (LiftedError, TypeError) as error:
        return str(error)


def until_ctrl_c(cluster):
    """Count until Ctrl-C reaches any host."""
    with interruptible() as stop:
        turn = 0
        say(ready=True)
        while not cluster.any("stop", flag=stop.is_set()):
            turn += 1
            time.sleep(0.01)
    say(turns=turn)


def until_killed(cluster):
    while True:
        cluster.barrier()
        time.sleep(0.01)


def fail(cluster):
    """Host 1 finds its data damaged, the others wait for it."""
    cluster.barrier()
    if cluster.index == 1:
        raise DataError("photo.jpg: cannot be read.")
    until_killed(cluster)


def stall(cluster):
    """Host 1 is alive but never comes to the next sum."""
    cluster.barrier()
    if cluster.index == 1:
        time.sleep(100)
    cluster.barrier()


class Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def nothing(cluster):
    cluster.barrier()


def children():
    """Process ids of this process's children (Linux)."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with it ignored
    spec, limits = ClusterSpec(**json.loads(sys.argv[1])), Limits(**json.loads(sys.argv[2]))
    try:
        with join_cluster(spec, limits) as cluster:
            say(children=children(), pid=os.getpid())
            globals()[sys.argv[3]](cluster)
    except LiftedError as error:
        say(error=str(error), kinds=[kind.__name__ for kind in type(error).__mro__])
        sys.exit(1)


if __name__ == "__main__":
    main()
