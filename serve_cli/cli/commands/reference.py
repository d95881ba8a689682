"""`lifted reference`: record MXNet's outputs of a network, to verify its translation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from serve_cli.cli.console import print_facts, print_json, say
from serve_cli.cli.shared_options import Json, parse_shape

Symbol = Annotated[Path, typer.Option("--symbol", help="Run the network of this -symbol.json.")]
Params = Annotated[Path, typer.Option("--params", help="Read the network's parameters from this .params file.")]
Out = Annotated[Path, typer.Option("--out", help="Write the reference to this .npz file.")]
Shape = Annotated[
    str,
    typer.Option("--shape", help="Feed random images of this name and shape, NAME:N,C,H,W, to the network."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="NODE",
        help="Record this node as the output, such as fc1 before a margin loss.",
        show_default="all outputs",
    ),
]
InputType = Annotated[
    Literal["float32", "float16"],
    typer.Option("--dtype", help="Feed images of this type; MXNet runs float16 only on GPUs."),
]
MxnetDevice = Annotated[str, typer.Option("--device", help="Run on the CPU (cpu) or a GPU that MXNet can use (gpu:0).")]


def reference(
    symbol: Symbol,
    params: Params,
    out: Out,
    shape: Shape = "data:4,3,224,224",
    dtype: InputType = "float32",
    device: MxnetDevice = "cpu",
    output: Output = None,
    as_json: Json = False,
) -> None:
    r"""Run an MXNet network on random images and save its outputs, and the output of every node for one image.

    With the file, `lifted verify` and `lifted export --reference` verify a
    translation without MXNet. This command needs MXNet.

    [bold]Examples[/bold]

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --out reference.npz

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --shape data:2,3,299,299 --out reference.npz
    """
    import numpy as np

    from gluon_lifted.contract import SavedNetwork
    from gluon_lifted.networks.reference import write_reference

    name, sizes = parse_shape(shape)
    images = np.random.default_rng(0).normal(size=sizes).astype(dtype)
    say(f"reference: {symbol} on {device}")
    outputs = write_reference(SavedNetwork(symbol, params, name, output), images, out, device)
    facts = {
        "reference": str(out),
        "images": f"{sizes[0]} random images of {' x '.join(map(str, sizes[1:]))}",
        "outputs": ", ".join(outputs),
        "next": f"lifted export --symbol {symbol} --params {params} --shape {shape} "
        f"{f'--output {output} ' if output else ''}--reference {out} --onnx model.onnx",
    }
    if as_json:
        print_json({"reference": str(out), "shape": list(sizes), "outputs": outputs})
    else:
        print_facts(facts)
