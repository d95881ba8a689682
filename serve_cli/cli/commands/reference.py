"""`lifted reference`: what MXNet computes with a network, to verify its translation with."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from serve_cli.cli.console import print_facts, print_json, say
from serve_cli.cli.shared_options import Json, parse_shape


class Precision(str, Enum):
    """Of the images."""

    float32 = "float32"
    float16 = "float16"


def reference(
    symbol: Annotated[Path, typer.Option(help="The network's -symbol.json.")],
    params: Annotated[Path, typer.Option(help="Its .params file.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write.")],
    shape: Annotated[
        str, typer.Option(help="Name and shape of its input: how many random images to compute, and their size.")
    ] = "data:4,3,224,224",
    dtype: Annotated[Precision, typer.Option(help="What the network takes; MXNet runs float16 on GPUs alone.")] = (
        Precision.float32
    ),
    device: Annotated[str, typer.Option(help="cpu, or a GPU that MXNet can use, as gpu:0.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Run a network of MXNet's on random images, and keep what it computes: outputs, and every layer for one image.

    With the file, `lifted verify` and `lifted export --reference` prove a translation on any machine; this command
    is for one with MXNet.

    [bold]Examples[/bold]

      lifted reference --symbol net-symbol.json --params net-0000.params --out reference.npz

      lifted reference --symbol net-symbol.json --params net-0000.params --shape data:2,3,299,299 --out reference.npz
    """
    import numpy as np

    from gluon_lifted.contract import SavedNetwork
    from gluon_lifted.networks.reference import write_reference

    name, sizes = parse_shape(shape)
    images = np.random.default_rng(0).normal(size=sizes).astype(dtype.value)
    say(f"reference: {symbol} on {device}")
    outputs = write_reference(SavedNetwork(symbol, params, name), images, out, device)
    facts = {
        "reference": str(out),
        "images": f"{sizes[0]} random ones of {sizes[1]} x {sizes[2]} x {sizes[3]}",
        "outputs": ", ".join(outputs),
        "next": f"lifted export --symbol {symbol} --params {params} --shape {shape} "
        f"--reference {out} --onnx model.onnx",
    }
    if as_json:
        print_json({"reference": str(out), "shape": list(sizes), "outputs": outputs})
    else:
        print_facts(facts)
