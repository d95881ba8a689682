"""Build networks of torchvision and timm for `twin_weights.py`, which asks by lines of JSON on standard input.

Runs under a Python that has torch, torchvision and timm, and needs neither MXNet nor this project installed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file

from tests.gluon_lifted.twins.random_weights import digest_of_names, random_images, random_parameter

COUNT = "num_batches_tracked"
WITH_AUXILIARY = {"googlenet", "inception_v3"}
AUXILIARY = ("aux1", "aux2", "AuxLogits")
Answer = dict[str, Any]


def build(library: str, architecture: str) -> Any:
    """Build a network whose parameters are not initialized, which takes long."""
    options = {"init_weights": False} if architecture in WITH_AUXILIARY else {}
    with torch.device("meta"):
        if library == "timm":
            network = timm.create_model(architecture, pretrained=False)
        else:
            network = torchvision.models.get_model(architecture, weights=None, **options)
    return network.to_empty(device="cpu")


def remove_classifier(network: Any) -> None:
    """Leave the pooled features, or the last hidden layer of VGG and AlexNet, as the network's output."""
    for name in AUXILIARY:
        if hasattr(network, name):
            setattr(network, name, None)
    name = next(name for name in ("fc", "last_linear", "classifier") if hasattr(network, name))
    if isinstance(network, (torchvision.models.VGG, torchvision.models.AlexNet)):
        network.classifier[-1] = torch.nn.Identity()
    elif isinstance(network, torchvision.models.SqueezeNet):
        network.classifier = torch.nn.AdaptiveAvgPool2d(1)
    else:
        setattr(network, name, torch.nn.Identity())


def make(library: str, architecture: str, side: int, folder: str) -> Answer:
    """Save weights as ``weights`` and the output for `random_images` as ``output.npy``."""
    network = build(library, architecture).eval()
    state = network.state_dict()
    for name, tensor in state.items():
        if name.endswith(COUNT):
            tensor.zero_()
        else:
            tensor.copy_(torch.from_numpy(random_parameter(name, tuple(tensor.shape))))
    path = Path(folder, "weights")
    if library == "timm":
        save_file(state, path)
    else:
        torch.save(state, path)
    remove_classifier(network)
    with torch.inference_mode():
        output = network(torch.from_numpy(random_images(side))).numpy()
    np.save(Path(folder, "output.npy"), output)
    shapes = [(name, tensor.shape) for name, tensor in network.state_dict().items() if not name.endswith(COUNT)]
    return {"names": digest_of_names(shapes), "num_parameters": sum(tensor.numel() for tensor in network.parameters())}


def accept(library: str, architecture: str, path: str) -> Answer:
    """Load weights written by `lifted export`, and compare them with those of `make`."""
    network = build(library, architecture)
    state = load_file(path)
    keys = network.load_state_dict(state, strict=False)
    remove_classifier(network)
    names = {name for name in network.state_dict() if not name.endswith(COUNT)}
    differences = [
        float(np.abs(state[name].numpy() - random_parameter(name, tuple(state[name].shape))).max())
        for name in names & state.keys()
    ]
    return {
        "missing": sorted(names & set(keys.missing_keys)),
        "unexpected": sorted(keys.unexpected_keys),
        "difference": max(differences),
    }


def main() -> None:
    torch.manual_seed(0)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"make": make, "accept": accept}[request.pop("task")](**request)), flush=True)


if __name__ == "__main__":
    main()
