"""A small network with every kind of layer of GoogLeNet, and what it computes by plain loops."""

from __future__ import annotations

import numpy as np

from tests.export import oracles
from tests.export.mxnet_files import Net

CROP = 19
DIM = 6


def small_network() -> Net:
    """conv - relu - LRN - pool - (conv - batch norm - relu | pool) - concat - dropout - dense - L2."""
    rng = np.random.default_rng(3)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (rng.normal(size=shape) * scale).astype(np.float32)

    net = Net()
    data = net.variable("data")
    conv = net.op(
        "Convolution",
        "conv1",
        [data, net.variable("conv1_weight", normal(4, 3, 3, 3)), net.variable("conv1_bias", normal(4))],
        {"kernel": "(3, 3)", "num_filter": "4", "stride": "(2, 2)", "pad": "(1, 1)"},
    )
    relu = net.op("Activation", "relu1", [conv], {"act_type": "relu"})
    lrn = net.op("LRN", "norm1", [relu], {"nsize": "3", "alpha": "0.1", "knorm": "1"})
    attrs = {"kernel": "(3, 3)", "stride": "(2, 2)", "pooling_convention": "full"}
    pool = net.op("Pooling", "pool1", [lrn], attrs)
    weight = net.variable("conv2_weight", normal(5, 4, 1, 1))
    branch = net.op("Convolution", "conv2", [pool, weight], {"kernel": "(1, 1)", "num_filter": "5", "no_bias": "True"})
    statistics = [
        net.variable("bn_gamma", 1 + normal(5, scale=0.2)),
        net.variable("bn_beta", normal(5)),
        net.variable("bn_moving_mean", normal(5)),
        net.variable("bn_moving_var", np.abs(normal(5)) + 0.5),
    ]
    norm = net.op("BatchNorm", "bn", [branch, *statistics], {"fix_gamma": "False"})
    relu2 = net.op("Activation", "relu2", [norm], {"act_type": "relu"})
    side = net.op("Pooling", "pool2", [pool], {"kernel": "(3, 3)", "pad": "(1, 1)", "pool_type": "avg"})
    joined = net.op("Concat", "concat", [relu2, side], {"num_args": "2", "dim": "1"})
    dropped = net.op("Dropout", "drop", [joined], {"p": "0.4"})
    weight, bias = net.variable("fc_weight", normal(DIM, 225, scale=0.1)), net.variable("fc_bias", normal(DIM))
    dense = net.op("FullyConnected", "fc", [dropped, weight, bias], {"num_hidden": str(DIM)})
    net.op("L2Normalization", "unit", [dense])
    return net


def small_reference(net: Net, rows: int = 5, data: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """data, embedding and node/<name> as in reference.npz."""
    if data is None:
        data = np.random.default_rng(4).normal(size=(rows, 3, CROP, CROP)).astype(np.float32)
    p = net.params
    nodes = {"conv1": oracles.convolution(data, p["conv1_weight"], p["conv1_bias"], stride=(2, 2), pad=(1, 1))}
    nodes["relu1"] = np.maximum(nodes["conv1"], 0)
    nodes["norm1"] = oracles.lrn(nodes["relu1"], 3, alpha=0.1, knorm=1)
    nodes["pool1"] = oracles.pooling(nodes["norm1"], (3, 3), stride=(2, 2), full=True)
    nodes["conv2"] = oracles.convolution(nodes["pool1"], p["conv2_weight"])
    statistics = [p[f"bn_{name}"] for name in ("gamma", "beta", "moving_mean", "moving_var")]
    nodes["bn"] = oracles.batch_norm(nodes["conv2"], *statistics, fix_gamma=False)
    nodes["relu2"] = np.maximum(nodes["bn"], 0)
    nodes["pool2"] = oracles.pooling(nodes["pool1"], (3, 3), pad=(1, 1), kind="avg")
    nodes["concat"] = np.concatenate([nodes["relu2"], nodes["pool2"]], axis=1)
    nodes["fc"] = oracles.fully_connected(nodes["concat"], p["fc_weight"], p["fc_bias"])
    nodes["unit"] = oracles.l2_normalization(nodes["fc"])
    first = {f"node/{name}": value[:1].astype(np.float32) for name, value in nodes.items()}
    return {"data": data, "embedding": nodes["unit"].astype(np.float32)} | first
