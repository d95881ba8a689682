"""`lifted reference`: what MXNet computes with a network, to verify its translation with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from serve_cli.cli.console import print_facts, print_json, say
from serve_cli.cli.shared_options import Json, parse_shape

Symbol = Annotated[Path, typer.Option("--symbol", help="Run the network of this -symbol.json.")]
Params = Annotated[Path, typer.Option("--params", help="Read its parameters from this .params file.")]
Out = Annotated[Path, typer.Option("--out", help="Write the reference to this .npz file.")]
Shape = Annotated[
    str,
    typer.Option("--shape", help="Give its input this name and shape, of random images."),
]
InputType = Annotated[
    Literal["float32", "float16"],
    typer.Option("--dtype", help="Give the network images of this type; MXNet runs float16 on GPUs alone."),
]
MxnetDevice = Annotated[str, typer.Option("--device", help="Run on the CPU (cpu) or a GPU that MXNet can use (gpu:0).")]


def reference(
    symbol: Symbol,
    params: Params,
    out: Out,
    shape: Shape = "data:4,3,224,224",
    dtype: InputType = "float32",
    device: MxnetDevice = "cpu",
    as_json: Json = False,
) -> None:
    """Run an MXNet network on random images and save its outputs, and every layer for one image.

    With the file, `lifted verify` and `lifted export --reference` prove a
    translation on any machine; this command needs one with MXNet.

    [bold]Examples[/bold]

      lifted reference --symbol net-symbol.json --params net-0000.params \\
        --out reference.npz

      lifted reference --symbol net-symbol.json --params net-0000.params \\
        --shape data:2,3,299,299 --out reference.npz
    """
    import numpy as np

    from gluon_lifted.contract import SavedNetwork
    from gluon_lifted.networks.reference import write_reference

    name, sizes = parse_shape(shape)
    images = np.random.default_rng(0).normal(size=sizes).astype(dtype)
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
