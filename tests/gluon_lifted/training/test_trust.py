"""Same seed, same weights: bit for bit, through kill -9, and on two hosts. Runs are processes of their own."""

import json
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import nd

pytestmark = pytest.mark.slow

RUNNER = Path(__file__).with_name("train_runner.py")


def start(run, config, *cluster):
    command = [sys.executable, str(RUNNER), str(run), json.dumps(config), *map(str, cluster)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def weights(run):
    return {name: array.asnumpy() for name, array in nd.load(str(run / "model-0000.params")).items()}


@pytest.fixture(scope="module")
def config(photos):
    return {
        "data": str(photos), "backbone": "cifar_resnet20_v1", "dim": 8, "iterations": 20, "batch_size": 6,
        "images_per_class": 2, "resize": 36, "crop": 32, "validation_classes": 0.0, "eval_every": 7,
        "checkpoint_every": 1,
    }  # fmt: skip


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """An uninterrupted run of 20 iterations, and its losses."""
    run = tmp_path_factory.mktemp("whole") / "run"
    return run, finish(start(run, config))


def assert_same_bits(run, other):
    others = weights(other)
    for name, array in weights(run).items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)


def test_same_seed_same_bits_over_20_iterations(config, whole, tmp_path):
    assert finish(start(tmp_path / "again", config)) == whole[1]
    assert_same_bits(whole[0], tmp_path / "again")
    assert finish(start(tmp_path / "other", config | {"seed": 1, "iterations": 2})) != whole[1][:2]


def lines_of(run):
    path = run / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_killed_at_any_moment_and_resumed_gives_the_same_bits(config, whole, tmp_path):
    run, rng = tmp_path / "killed", random.Random(0)
    for at_line in (1, 6, 13):
        process = start(run, config)
        deadline = time.monotonic() + 60
        while lines_of(run) < at_line and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.1))  # within a step, an evaluation or the writing of a checkpoint
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    finish(start(run, config))
    assert_same_bits(whole[0], run)
    log = [json.loads(line)["iteration"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert log == list(range(1, 21))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_two_hosts_learn_what_one_does_and_resume(config, tmp_path):
    """A plain network without dropout, where only the order of sums differs; batch 7 does not divide evenly.

    Each host has the proxies of the loss. They must stay equal, and move as one host alone moves them.
    """
    config = config | {
        "backbone": "googlenet", "crop": 48, "resize": 50, "dropout": 0.0, "iterations": 4, "eval_every": 0,
        "optimizer": "sgd", "learning_rate": 1e-3, "schedule": "constant", "sampler": "shuffle", "batch_size": 7,
        "loss": "proxy-anchor", "margin": 0.1, "proxy_lr_mult": 10.0,
    }  # fmt: skip
    alone = finish(start(tmp_path / "alone", config))
    for iterations, expected in ((2, alone[:2]), (4, alone[2:])):
        port = free_port()
        hosts = [start(tmp_path / "both", config | {"iterations": iterations}, rank, 2, port) for rank in (0, 1)]
        losses = [finish(host) for host in hosts]
        assert losses[0] == losses[1]
        assert losses[0] == pytest.approx(expected, rel=1e-3)  # AVX2 differs by 3e-4
    both = weights(tmp_path / "both")
    for name, array in weights(tmp_path / "alone").items():
        np.testing.assert_allclose(both[name], array, rtol=1e-3, atol=5e-4, err_msg=name)
