"""Mixed precision as far as a CPU can tell: what is cast, what is not, and how gradients are scaled."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.distributed import ALONE
from gluon_lifted.mx import autograd, gluon, nd
from gluon_lifted.training.optimizer import FIRST_SCALE, Optimizer

pytestmark = pytest.mark.slow

# Casting holds for a process, so it is looked at in one of its own. The GPU is pretended: nothing is computed on it.
TRACE = """
import json
from types import SimpleNamespace
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.mx import mx
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.backbones import build_backbone
from gluon_lifted.training.trainer import _start_mixed_precision, _traced_loss

config = TrainConfig(amp=True)
loss = _traced_loss(config, mx.cpu())
_start_mixed_precision(config, [SimpleNamespace(device_type="gpu")])
network = EmbeddingNet(build_backbone("googlenet_bn", 64), 8)(mx.sym.var("data"))
casts = [node["op"] for node in json.loads(network.tojson(remove_amp_cast=False))["nodes"]].count("amp_cast")
print(json.dumps({"network": casts, "loss": loss._cached_graph[1].tojson(remove_amp_cast=False).count("amp_cast")}))
"""


def test_the_network_is_cast_and_the_loss_is_not():
    run = subprocess.run([sys.executable, "-c", TRACE], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    casts = json.loads(run.stdout.splitlines()[-1])
    assert casts["network"] > 50  # at least a cast per convolution
    assert casts["loss"] == 0


def one_weight(config):
    block = gluon.nn.Dense(1, use_bias=False, in_units=1)
    block.initialize("zeros")
    return block, Optimizer(block.collect_params(), config, ALONE)


def step(block, optimizer, gradient, iteration=0):
    """One step with a gradient of the loss; whether it was applied, and the weight after it."""
    with autograd.record():
        out = block(nd.ones((1, 1)))
    out.backward(nd.array([[gradient * optimizer.gradient_scale]]))
    return optimizer.step(iteration), float(block.weight.data().asnumpy()[0, 0])


AMP = TrainConfig(optimizer="sgd", momentum=0.0, learning_rate=1.0, schedule="constant", weight_decay=0.0, amp=True)


def test_the_scale_takes_no_part_in_the_step():
    assert step(*one_weight(AMP), 0.25) == (True, -0.25)


def test_an_overflow_is_skipped_and_halves_the_scale():
    block, optimizer = one_weight(AMP)
    assert optimizer.gradient_scale == FIRST_SCALE
    assert step(block, optimizer, np.inf) == (False, 0.0)
    assert optimizer.gradient_scale == FIRST_SCALE / 2
    assert step(block, optimizer, 0.5) == (True, -0.5)


def test_the_scale_doubles_after_2000_good_steps_and_survives_a_checkpoint():
    block, optimizer = one_weight(AMP)
    for iteration in range(1999):
        step(block, optimizer, 0.0, iteration)
    assert optimizer.gradient_scale == FIRST_SCALE
    _, resumed = one_weight(AMP)
    resumed.restore(optimizer.state())
    for trained in (optimizer, resumed):
        trained._adapt_scale(finite=True)
        assert trained.gradient_scale == 2 * FIRST_SCALE


@pytest.mark.parametrize(("gradient", "applied"), [(3.0, 0.5), (-3.0, -0.5), (0.3, 0.3)])
def test_clipping_limits_the_norm_and_keeps_the_direction(gradient, applied):
    for amp in (False, True):
        config = replace(AMP, clip_gradient=0.5, amp=amp)
        assert step(*one_weight(config), gradient) == (True, pytest.approx(-applied))
