"""Describe an MXNet network before its export, and suggest the command that exports it."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from export import inspect_network

if TYPE_CHECKING:
    from pathlib import Path

    from export import NetworkInventory

MOST_LISTED = 30  # names in a line
NUMBER = r"-[0-9]{4}\.params"


@dataclass(frozen=True)
class NetworkInspection:
    """The inventory of a network, and the arguments of the command that exports it."""

    inventory: NetworkInventory
    command: tuple[str, ...]

    def facts(self) -> dict[str, str]:
        """Return the inventory in words, one line each."""
        net = self.inventory
        lines = {
            "file": str(net.symbol),
            "holds": "an MXNet network",
            "written by": f"MXNet, version {net.mxnet_version}",
            "operators": _listed([f"{op} x{count}" for op, count in net.operators.items()]),
            "no translator": self._untranslated(),
            "inputs": _listed(net.inputs) + ("" if net.params else " (guessed from names; give --params)"),
            "labels": _listed(net.labels),
            "not in --params": _listed(net.missing_parameters),
            "parameters": "" if net.num_parameters is None else f"{net.num_parameters:,}",
            "outputs": _listed([f"{output.node} ({output.op})" for output in net.outputs]),
            "embedding, a guess": self._embedding(),
            "preprocessing, a guess": f"{net.preprocessing.value}: {net.preprocessing.reason}"
            if net.preprocessing
            else "unknown; ask the publisher, then add --preprocessing, or --mean and --std",
            "image": f"{' x '.join(map(str, net.image.shape))} ({net.image.reason})",
            "problem": net.problem or "",
            "try": shlex.join(self.command),
        }
        return {name: line for name, line in lines.items() if line}

    def as_dict(self) -> dict[str, object]:
        """Return the same for JSON."""
        net = self.inventory
        files = {"symbol": str(net.symbol), "params": str(net.params) if net.params else None}
        return {"kind": "network"} | asdict(net) | files | {"command": list(self.command)}

    def _untranslated(self) -> str:
        net = self.inventory
        cut = set(net.without_translator) - set(net.in_the_way)
        return _listed(
            [
                f"{op} (first: {node}{'; not needed for the embedding' if op in cut else ''})"
                for op, node in net.without_translator.items()
            ]
        )

    def _embedding(self) -> str:
        node, dim = self.inventory.embedding, self.inventory.dim
        if node is None:
            return "unknown; choose a node with --output"
        numbers = f", {dim:,} numbers" if dim else ""
        return f"{node.name}{numbers}: {node.reason}"


def inspect_network_files(symbol: Path, params: Path | None) -> NetworkInspection:
    """Take the inventory of a network. Raise `LiftedError` as `export.inspect_network` does."""
    inventory = inspect_network(symbol, params)
    return NetworkInspection(inventory, _command(inventory, params or _params_beside(symbol)))


def _command(net: NetworkInventory, params: Path) -> tuple[str, ...]:
    stem = net.symbol.name.removesuffix(".json").removesuffix("-symbol")
    shape = f"{net.inputs[0]}:{','.join(map(str, (1, *net.image.shape)))}"
    words = ["lifted", "export", "--symbol", str(net.symbol), "--params", str(params), "--shape", shape]
    if net.embedding is not None and not net.embedding.is_output:
        words += ["--output", net.embedding.name]
    depth, height, width = net.image.shape
    if net.preprocessing is not None and depth == 3 and height == width:  # a model card describes no others
        words += ["--preprocessing", net.preprocessing.value]
    return (*words, "--onnx", f"{stem}.onnx")


def _params_beside(symbol: Path) -> Path:
    """Return the only parameter file that MXNet's naming gives to a symbol, or the name of the first one."""
    stem = symbol.name.removesuffix(".json").removesuffix("-symbol")
    name = re.compile(re.escape(stem) + NUMBER)
    files = [path for path in symbol.parent.iterdir() if name.fullmatch(path.name)]
    return files[0] if len(files) == 1 else symbol.with_name(f"{stem}-0000.params")


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
