"""Mixed precision as far as a CPU can tell: what is cast, what is not, and how gradients are scaled."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.batches.loader import Batch
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.contract import SavedNetwork
from gluon_lifted.distributed import ALONE
from gluon_lifted.errors import ConfigError, RunError
from gluon_lifted.hardware.cpus import has_bfloat16_units, instruction_sets
from gluon_lifted.mx import autograd, gluon, mx, nd
from gluon_lifted.networks.reference import network_outputs
from gluon_lifted.training import precision
from gluon_lifted.training.loss_scale import FIRST_SCALE, LossScale
from gluon_lifted.training.optimizer import Optimizer
from gluon_lifted.training.trainer import Trainer

pytestmark = pytest.mark.slow

# Casting holds for a process, so each of these runs in one of its own. Nothing is computed in the traced type.
TRACE = """
import json, sys
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.mx import mx
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.backbones import build_backbone
from gluon_lifted.training.precision import start_computing_in
from gluon_lifted.training.trainer import _traced_loss

loss = _traced_loss(TrainConfig(amp=True), [mx.cpu()], 0)
start_computing_in(sys.argv[1])
network = EmbeddingNet(build_backbone("cifar_resnet20_v1", 32), 8)(mx.sym.var("data"))
nodes = json.loads(network.tojson(remove_amp_cast=False))["nodes"]
types = [node["attrs"]["dtype"] for node in nodes if node["op"] == "amp_cast"]
casts = loss._cached_graph[1].tojson(remove_amp_cast=False).count("amp_cast")
print(json.dumps({"network": types.count(sys.argv[1]), "loss": casts}))
"""

RUN = """
import json, sys
from pathlib import Path
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.training import loop
from gluon_lifted.training.run import Hardware, train

loop.draw_curves = lambda *_: None  # drawing takes longer than the run
report = train(TrainConfig(**json.loads(sys.argv[2])), Path(sys.argv[1]), Hardware("cpu", 1))
print(json.dumps({"finished": report.finished, "loss": report.loss, "not_finite": report.not_finite}))
"""

# MXNet has no float16 convolution for CPUs, but activations and pooling. Cast alone, they take the way of a GPU.
IN_FLOAT16 = """
import os
os.environ["MXNET_MKLDNN_ENABLED"] = "0"  # oneDNN knows no float16
from gluon_lifted.training import precision, trainer

def start(dtype):
    from mxnet.contrib import amp
    from mxnet.contrib.amp.lists import symbol_fp16
    float32_ops = [*symbol_fp16.FP32_FUNCS, "Convolution", "FullyConnected", "BatchNorm"]
    amp.init(dtype, target_precision_ops=["Activation", "Pooling"], fp32_ops=float32_ops)

trainer.compute_type = lambda config, devices: "float16"
precision.start_mixed_precision = start
"""


def answer_of(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def config_of(photos, **changes):
    return {
        "data": str(photos), "backbone": "cifar_resnet20_v1", "dim": 8, "iterations": 3, "batch_size": 6,
        "images_per_class": 2, "resize": 36, "crop": 32, "validation_classes": 0.0, "amp": True,
    } | changes  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_network_is_cast_and_the_loss_is_not(dtype):
    casts = answer_of(TRACE, dtype)
    assert casts["network"] >= 20  # at least a cast per convolution
    assert casts["loss"] == 0


def test_a_run_in_float16_freezes_in_float32(photos, tmp_path):
    """The embeddings that the files compute here, without casts, agree with those of the run's own process."""
    config = config_of(photos, iterations=1, test=False)
    report = answer_of(IN_FLOAT16 + RUN, tmp_path / "run", json.dumps(config))
    assert report["finished"]
    assert np.isfinite(report["loss"])
    network = SavedNetwork(tmp_path / "run/model-symbol.json", tmp_path / "run/model-0000.params")
    assert "cast" not in network.symbol.read_text()
    assert {array.dtype for array in nd.load(str(network.params)).values()} == {np.float32}
    with np.load(tmp_path / "run/reference.npz", allow_pickle=False) as reference:
        (embedding,) = network_outputs(network, {"data": reference["data"]}).values()
        np.testing.assert_allclose(embedding, reference["embedding"], rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    not has_bfloat16_units(instruction_sets()), reason="this CPU has no bfloat16 units: MXNet cannot compute in it"
)
@pytest.mark.parametrize("backbone", ["cifar_resnet20_v1", "googlenet_bn", "mobilenetv2_0.25"])
def test_a_run_in_bfloat16(photos, tmp_path, backbone):
    # Batch norm over six images of 32 px, a pixel each at the end, amplifies rounding to 40 % of the loss
    batch = {"batch_size": 24, "images_per_class": 4, "resize": 104, "crop": 96}
    losses = {}
    for amp in (True, False):
        config = config_of(photos, backbone=backbone, amp=amp, iterations=1, dropout=0.0, **batch)
        report = answer_of(RUN, tmp_path / str(amp), json.dumps(config))
        assert report["finished"]
        losses[amp] = report["loss"]
    assert losses[True] == pytest.approx(losses[False], rel=0.1)


def test_the_type_follows_from_the_devices(monkeypatch):
    cpu, gpu = SimpleNamespace(device_type="cpu"), SimpleNamespace(device_type="gpu")
    for instructions, expected in (("sse2 avx512_bf16", "bfloat16"), ("amx_bf16", "bfloat16"), ("avx512bw", None)):
        monkeypatch.setattr(precision, "instruction_sets", lambda flags=instructions: flags)
        assert precision.compute_type(TrainConfig(), [cpu]) == "float32"
        assert precision.compute_type(AMP, [gpu, gpu]) == "float16"
        if expected:
            assert precision.compute_type(AMP, [cpu]) == expected
        else:
            with pytest.raises(ConfigError, match="needs a GPU, or a CPU with bfloat16 units"):
                precision.compute_type(AMP, [cpu])


def test_a_layer_without_code_for_the_type_is_refused_in_a_sentence():
    block = gluon.nn.Dense(1, in_units=2)
    block.initialize()
    with pytest.raises(
        ConfigError, match=r"^MXNet cannot compute this network in float16 on cpu\(0\) .*Leave out --amp\.$"
    ):
        precision.require_computable(block, (1, 3), mx.cpu(), "float16")


def one_weight(config):
    block = gluon.nn.Dense(1, use_bias=False, in_units=1)
    block.initialize("zeros")
    return block, Optimizer(block.collect_params(), config, ALONE, LossScale(dynamic=config.amp))


def step(block, optimizer, gradient, iteration=0):
    """One step with a gradient of the loss; whether it was applied, and the weight after it."""
    with autograd.record():
        out = block(nd.ones((1, 1)))
    out.backward(nd.array([[gradient * optimizer.scale.value]]))
    applied = optimizer.step(iteration, optimizer.sum_gradients().asscalar())
    return applied, float(block.weight.data().asnumpy()[0, 0])


AMP = TrainConfig(optimizer="sgd", momentum=0.0, learning_rate=1.0, schedule="constant", weight_decay=0.0, amp=True)


def test_the_scale_takes_no_part_in_the_step():
    assert step(*one_weight(AMP), 0.25) == (True, -0.25)


def test_an_overflow_is_skipped_and_halves_the_scale():
    block, optimizer = one_weight(AMP)
    assert optimizer.scale.value == FIRST_SCALE
    assert step(block, optimizer, np.inf) == (False, 0.0)
    assert optimizer.scale.value == FIRST_SCALE / 2
    assert step(block, optimizer, 0.5) == (True, -0.5)


def test_the_scale_doubles_after_2000_good_steps_and_survives_a_checkpoint():
    block, optimizer = one_weight(AMP)
    optimizer.scale.good_steps = 1998
    step(block, optimizer, 0.0)
    assert optimizer.scale.value == FIRST_SCALE
    _, resumed = one_weight(AMP)
    resumed.restore(optimizer.state())
    for trained in (optimizer, resumed):
        trained.scale.adapt(finite=True)
        assert trained.scale.value == 2 * FIRST_SCALE


@pytest.mark.parametrize(("gradient", "applied"), [(3.0, 0.5), (-3.0, -0.5), (0.3, 0.3)])
def test_clipping_limits_the_norm_and_keeps_the_direction(gradient, applied):
    for amp in (False, True):
        config = replace(AMP, clip_gradient=0.5, amp=amp)
        assert step(*one_weight(config), gradient) == (True, pytest.approx(-applied))


def trainer_with_overflows(monkeypatch, config, overflows):
    """A trainer whose parameters' gradients overflow in the first steps, as in float16 with too large a scale."""
    trainer = Trainer(replace(config, amp=False), [mx.cpu()])
    optimizer = trainer.optimizer
    optimizer.scale = LossScale(dynamic=config.amp)
    sums = optimizer.sum_gradients
    steps = itertools.count()
    monkeypatch.setattr(optimizer, "sum_gradients", lambda: sums() * (np.inf if next(steps) < overflows else 1))
    images = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)
    return trainer, Batch(images, np.array([0, 0, 1, 1]))


SMALL = TrainConfig(backbone="cifar_resnet20_v1", dim=4, crop=32, resize=32, learning_rate=1e-6, amp=True)


def test_the_search_for_a_scale_is_not_divergence(monkeypatch):
    trainer, batch = trainer_with_overflows(monkeypatch, SMALL, 14)
    before = trainer.state()
    for iteration in range(14):
        trainer.step(batch, iteration)
    assert trainer.optimizer.scale.value == FIRST_SCALE / 2**14
    assert (trainer.skipped.not_finite, trainer.skipped.in_a_row) == (0, 0)
    for name, array in trainer.state().items():
        if name != "scale":
            np.testing.assert_array_equal(array, before[name], name)
    trainer.step(batch, 14)
    assert trainer.optimizer.state()["updates"] == 1


def test_overflow_without_a_scale_is_divergence(monkeypatch):
    for config, search in ((SMALL, 16), (replace(SMALL, amp=False), 0)):
        trainer, batch = trainer_with_overflows(monkeypatch, config, 100)
        for iteration in range(search + 9):
            trainer.step(batch, iteration)
        assert trainer.optimizer.scale.value == 1
        assert trainer.skipped.not_finite == 9
        with pytest.raises(RunError, match="training has diverged: the gradients of 10 batches in a row"):
            trainer.step(batch, search + 9)


def test_embeddings_that_are_not_finite_are_divergence_at_any_scale(monkeypatch):
    trainer, batch = trainer_with_overflows(monkeypatch, SMALL, 0)
    trainer.net.embedding.bias.set_data(nd.full(4, np.nan))
    for iteration in range(9):
        trainer.step(batch, iteration)
    assert trainer.optimizer.scale.value == FIRST_SCALE
    with pytest.raises(RunError, match="training has diverged"):
        trainer.step(batch, 9)
