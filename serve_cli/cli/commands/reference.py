"""`lifted reference`: record MXNet's outputs of a network, to verify its translation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serve_cli.cli.console import print_facts, print_json, say
from serve_cli.cli.input_options import Dtypes, Shapes, network_inputs
from serve_cli.cli.shared_options import Json

Symbol = Annotated[Path, typer.Option("--symbol", help="Run the network of this -symbol.json.")]
Params = Annotated[Path, typer.Option("--params", help="Read the network's parameters from this .params file.")]
Out = Annotated[Path, typer.Option("--out", help="Write the reference to this .npz file.")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="NODE",
        help="Record this node as the output, such as fc1 before a margin loss.",
        show_default="all outputs",
    ),
]
MxnetDevice = Annotated[str, typer.Option("--device", help="Run on the CPU (cpu) or a GPU that MXNet can use (gpu:0).")]


def reference(
    symbol: Symbol,
    params: Params,
    out: Out,
    shape: Shapes = ["data:4,3,224,224"],  # noqa: B006  # Typer copies it
    dtype: Dtypes = None,
    device: MxnetDevice = "cpu",
    output: Output = None,
    as_json: Json = False,
) -> None:
    r"""Run an MXNet network on random inputs and save its outputs, and the output of every node for one image.

    With the file, `lifted verify` and `lifted export --reference` verify a
    translation without MXNet. This command needs MXNet.

    [bold]Examples[/bold]

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --out reference.npz

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --shape data:2,3,299,299 --out reference.npz
    """
    from gluon_lifted.contract import SavedNetwork
    from gluon_lifted.networks.random_inputs import random_inputs
    from gluon_lifted.networks.reference import write_reference

    inputs = network_inputs(shape, dtype)
    network = SavedNetwork(symbol, params, output)
    feeds = random_inputs(network, inputs.fixed(), inputs.dtypes)
    say(f"reference: {symbol} on {device}")
    outputs = write_reference(network, feeds, out, device, batch_axes=inputs.batch_axes())
    shapes = " ".join(f"--shape {text}" for text in shape)
    facts = {
        "reference": str(out),
        "inputs": ", ".join(f"{name}: random {array.dtype} {array.shape}" for name, array in feeds.items()),
        "outputs": ", ".join(outputs),
        "next": f"lifted export --symbol {symbol} --params {params} {shapes} "
        f"{''.join(f'--dtype {text} ' for text in dtype or [])}{f'--output {output} ' if output else ''}"
        f"--reference {out} --onnx model.onnx",
    }
    if as_json:
        sizes = {name: list(array.shape) for name, array in feeds.items()}
        print_json({"reference": str(out), "shapes": sizes, "outputs": outputs})
    else:
        print_facts(facts)
