"""`lifted reference`: record MXNet's outputs of a network, to verify its translation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from serve_cli.cli.console import print_facts, print_json, say
from serve_cli.cli.shared_options import Json, Tolerance, parse_shape

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
Expected = Annotated[
    Path | None,
    typer.Option(
        "--expected",
        metavar="OUTPUTS.npz",
        help="Feed the images (data) of this file instead, and compare with the outputs that the program which saved "
        "the network recorded in it.",
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
    expected: Expected = None,
    tolerance: Tolerance = None,
    as_json: Json = False,
) -> None:
    r"""Run an MXNet network on random images and save its outputs, and the output of every node for one image.

    With the file, `lifted verify` and `lifted export --reference` verify a
    translation without MXNet. This command needs MXNet.

    MXNet 1.9.1 can save a scrambled weight, which two files alone do not show. In
    the program that has the network, call mx.nd.waitall() before saving, record
    images and outputs, and compare the files with them by --expected:

      np.savez("outputs.npz", data=images.asnumpy(), out=net(images).asnumpy())

    [bold]Examples[/bold]

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --out reference.npz

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --shape data:2,3,299,299 --out reference.npz

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --expected outputs.npz --out reference.npz
    """
    import numpy as np

    from gluon_lifted.contract import SavedNetwork
    from gluon_lifted.networks.reference import write_reference

    name, sizes = parse_shape(shape)
    network = SavedNetwork(symbol, params, name, output)
    say(f"reference: {symbol} on {device}")
    if expected is None:
        images, source = np.random.default_rng(0).normal(size=sizes).astype(dtype), "random images"
        outputs = write_reference(network, images, out, device)
    else:
        from export import compare_with_recorded, read_reference
        from export.verify import DEFAULT_TOLERANCE, HALF_TOLERANCE, check_tolerance

        check_tolerance(tolerance)
        tolerance = tolerance or (HALF_TOLERANCE if dtype == "float16" else DEFAULT_TOLERANCE)
        recorded = read_reference(expected)
        images, source, sizes = recorded.data.astype(dtype), f"images of {expected}", recorded.data.shape
        check = partial(compare_with_recorded, recorded=recorded, tolerance=tolerance)
        outputs = write_reference(network, images, out, device, check)
    shape = f"{name}:{','.join(map(str, sizes))}"
    facts = {
        "reference": str(out),
        "images": f"{sizes[0]} {source}, {sizes[1]} x {sizes[2]} x {sizes[3]}",
        "outputs": ", ".join(outputs),
        "next": f"lifted export --symbol {symbol} --params {params} --shape {shape} "
        f"{f'--output {output} ' if output else ''}--reference {out} --onnx model.onnx",
    }
    if as_json:
        print_json({"reference": str(out), "shape": list(sizes), "outputs": outputs})
    else:
        print_facts(facts)
