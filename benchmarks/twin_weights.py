"""Compare every backbone with its twins in torchvision and timm: same weights, same images, same pooled features.

    python benchmarks/twin_weights.py --torch-python TORCH/bin/python [--backbones NAME ...] [--write] [--record]

TORCH is an environment with torch, torchvision, timm and safetensors. For each pair it saves a twin with random
weights, running statistics too. Ours loads the file and both see the same images. Then ours is frozen into a run
folder, `lifted export --weights` writes its parameters, and the twin loads them.

``--write`` writes results/twin_weights.md, ``--record`` the expected values of the tests; both keep the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export import export_weights
from gluon_lifted.card import ModelCard
from gluon_lifted.images import Preprocessing
from gluon_lifted.images.colors import COLORS
from gluon_lifted.mx import nd
from gluon_lifted.networks.backbones import backbone_initializer, build_backbone
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.pretrained.load_weights import load_weights
from gluon_lifted.training.freeze import freeze
from gluon_lifted.twins.twin_networks import TWINS, Twin
from tests.gluon_lifted.twins.random_weights import random_images

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).parent / "results" / "twin_weights.md"
RECORDED = ROOT / "tests" / "gluon_lifted" / "twins" / "twins.json"
SIDE = 75  # pixels; odd, and odd again after poolings, which shows how their windows are rounded
SIDES = {name: 224 for name in TWINS if name.startswith(("vgg", "alexnet"))}  # their dense layers fix the side
LIMIT = 1e-5
HEAD = f"""# Backbones and their twins

Made by `benchmarks/twin_weights.py` with random weights. Difference: the largest of two images' pooled features,
relative to the largest feature; at most {LIMIT:.0e}. Back: the largest difference of a parameter that went from the
twin to ours and, by `lifted export --weights`, back to the twin.

| backbone | twin | parameters (M) | px | difference | back |
|---|---|---|---|---|---|
"""
NUM_RECORDED = 16  # outputs of the first image


@dataclass(frozen=True)
class Comparison:
    """The outcome for a backbone and one of its twins. Differences are relative to the largest output or parameter."""

    backbone: str
    twin: Twin
    side: int
    num_parameters: int
    difference: float
    export_difference: float
    output: np.ndarray
    seconds: float

    @property
    def recorded(self) -> dict[str, Any]:
        step = self.output.shape[1] // NUM_RECORDED
        values = [float(f"{value:.6g}") for value in self.output[0, ::step][:NUM_RECORDED]]
        return {"side": self.side, "values": values}


class TorchWorker:
    """A process of `torch_twins.py`."""

    def __init__(self, python: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [python, str(Path(__file__).with_name("torch_twins.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def ask(self, task: str, twin: Twin, **options: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"task": task, "library": twin.library, "architecture": twin.architecture, **options}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        if not (answer := self._process.stdout.readline()):
            raise SystemExit(f"{twin}: torch_twins.py ended")
        return json.loads(answer)


def compare(worker: TorchWorker, backbone: str, twin: Twin, folder: Path) -> Comparison:
    start, side = time.perf_counter(), SIDES.get(backbone, SIDE)
    made = worker.ask("make", twin, side=side, folder=str(folder))
    net = EmbeddingNet(build_backbone(backbone, side), 4)
    net.initialize(backbone_initializer())
    load_weights(net, str(folder / "weights"), backbone)
    images, expected = random_images(side), np.load(folder / "output.npy")
    output = net.backbone(nd.array(images)).asnumpy().reshape(len(images), -1)
    (folder / "weights").unlink()
    card = ModelCard(
        name="run",
        backbone=backbone,
        dim=4,
        normalized=False,
        preprocessing=Preprocessing(side, side, *COLORS["imagenet"]),
        dataset="folder",
        loss="loss",
    )
    freeze(net, folder, card, images)
    exported = export_weights(folder, folder / "exported.safetensors")
    accepted = worker.ask("accept", twin, path=str(exported.path))
    if accepted["missing"] or accepted["unexpected"] != ["embedding.bias", "embedding.weight"]:
        raise SystemExit(f"{backbone}: {twin} does not accept the exported names: {accepted}")
    return Comparison(
        backbone=backbone,
        twin=twin,
        side=side,
        num_parameters=made["num_parameters"],
        difference=float(np.abs(output - expected).max() / np.abs(expected).max()),
        export_difference=accepted["difference"],
        output=expected,
        seconds=time.perf_counter() - start,
    )


def write_table(results: list[Comparison]) -> None:
    """Write the results. Rows of the last table stay if they were not measured again."""
    old = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]): line for line in old}
    rows |= {(result.backbone, str(result.twin)): row(result) for result in results}
    keys = [(backbone, str(twin)) for backbone, twins in TWINS.items() for twin in twins]
    lines = [rows.get(key, f"| {key[0]} | {key[1]} | - | - | - | - |") for key in keys]
    TABLE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def row(result: Comparison) -> str:
    return (
        f"| {result.backbone} | {result.twin} | {result.num_parameters / 1e6:.1f} | {result.side} | "
        f"{result.difference:.1e} | {result.export_difference:.1e} |"
    )


def record_names(worker: TorchWorker) -> None:
    """Record a hash of each backbone's names and shapes, the same in all its twins."""
    digests = {backbone: {worker.ask("names", twin)["digest"] for twin in twins} for backbone, twins in TWINS.items()}
    if different := [backbone for backbone, values in digests.items() if len(values) > 1]:
        raise SystemExit(f"the twins have different names: {', '.join(different)}")
    update_record("names", {backbone: values.pop() for backbone, values in digests.items()})


def update_record(kind: str, values: dict[str, Any]) -> None:
    """Replace values by backbone, and keep the others. A line for each."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {"names": {}, "outputs": {}}
    recorded[kind] |= values
    parts = []
    for name, entries in recorded.items():
        ordered = [backbone for backbone in TWINS if backbone in entries]
        lines = [f"{json.dumps(backbone)}: {json.dumps(entries[backbone])}" for backbone in ordered]
        parts.append(f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}")
    RECORDED.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", required=True)
    parser.add_argument("--backbones", nargs="+", default=list(TWINS), choices=list(TWINS), metavar="NAME")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    worker, comparisons = TorchWorker(arguments.torch_python), []
    if arguments.record:
        record_names(worker)
    pairs = [(backbone, twin) for backbone in arguments.backbones for twin in TWINS[backbone]]
    for backbone, twin in sorted(pairs, key=lambda pair: TWINS[pair[0]].index(pair[1])):  # first twins first
        with tempfile.TemporaryDirectory() as folder:
            result = compare(worker, backbone, twin, Path(folder))
        print(row(result), f"{result.seconds:.1f} s", flush=True)
        comparisons.append(result)
        if arguments.write:
            write_table(comparisons)
        if arguments.record and twin == TWINS[backbone][0]:
            update_record("outputs", {backbone: result.recorded})
    if wrong := [str(result.twin) for result in comparisons if not result.difference <= LIMIT]:
        sys.exit(f"differ by more than {LIMIT:.0e}: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
