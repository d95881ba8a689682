"""`lifted reference`: record MXNet's outputs of a network, to verify its translation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_cli.cli.console import print_facts, print_json, say
from serve_cli.cli.input_options import Dtypes, Shapes, network_inputs
from serve_cli.cli.shared_options import Json, Tolerance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from export import NetworkInputs

Symbol = Annotated[Path, typer.Option("--symbol", metavar="FILE", help="Run the network in this -symbol.json.")]
Params = Annotated[
    Path, typer.Option("--params", metavar="FILE", help="Read the network's parameters from this .params file.")
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Write the reference to this .npz file.")]
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
        help="Run on the inputs in this file instead of random ones, and compare with its outputs, which the program "
        "that saved the network recorded.",
    ),
]
MxnetDevice = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Run on the CPU (cpu) or a GPU that MXNet can use (gpu:0).")
]


def reference(
    symbol: Symbol,
    params: Params,
    out: Out,
    shape: Shapes = None,
    dtype: Dtypes = None,
    device: MxnetDevice = "cpu",
    output: Output = None,
    expected: Expected = None,
    tolerance: Tolerance = None,
    as_json: Json = False,
) -> None:
    r"""Record what MXNet computes, to verify the translation to ONNX.

    Run a network on random inputs and save its outputs, and the output of every
    node for the first input.

    `lifted verify` and `lifted export --reference` compare a translation with
    this file, without MXNet. This command needs MXNet.

    MXNet 1.9.1 can save a scrambled weight, and the saved files do not show it.
    In the program that saves the network, call mx.nd.waitall() first. Then record
    images and outputs, and compare them with the files, with --expected:

      np.savez("outputs.npz", data=images.asnumpy(), out=net(images).asnumpy())

    [bold]Examples[/bold]

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --out reference.npz

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --shape data:2,3,299,299 --out reference.npz

      lifted reference --symbol net-symbol.json --params net-0000.params \
        --expected outputs.npz --out reference.npz
    """
    from gluon_lifted.contract import SavedNetwork
    from gluon_lifted.networks.random_inputs import random_inputs
    from gluon_lifted.networks.reference import write_reference

    inputs = network_inputs(shape or ["data:4,3,224,224"], dtype)
    network = SavedNetwork(symbol, params, output)
    say(f"reference: {symbol} on {device}")
    axes = inputs.batch_axes()
    if expected is None:
        feeds, source = random_inputs(network, inputs.fixed(), inputs.dtypes), "random"
        outputs = write_reference(network, feeds, out, device, batch_axes=axes)
    else:
        feeds, check = _recorded(expected, inputs, tolerance)
        source = f"{expected}:"
        outputs = write_reference(network, feeds, out, device, check, batch_axes=axes)
    shapes = " ".join(f"--shape {_shape_text(name, array, axes)}" for name, array in feeds.items())
    facts = {
        "reference": str(out),
        "inputs": ", ".join(f"{name}: {source} {array.dtype} {array.shape}" for name, array in feeds.items()),
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


def _recorded(
    expected: Path, inputs: NetworkInputs, tolerance: float | None
) -> tuple[dict[str, NDArray[Any]], Callable[..., None]]:
    """Return the inputs that a program recorded, and a function that compares outputs with the recorded ones."""
    from export import compare_with_recorded, read_reference
    from export.verify import DEFAULT_TOLERANCE, HALF_TOLERANCE, check_tolerance

    check_tolerance(tolerance)
    half = any(dtype == "float16" for dtype in inputs.dtypes.values())
    recorded = read_reference(expected)
    arrays = recorded.inputs
    if len(arrays) == len(inputs.shapes) == 1:
        arrays = dict(zip(inputs.shapes, arrays.values(), strict=True))  # the file calls the only input data
    feeds = {name: array.astype(inputs.dtypes.get(name, array.dtype)) for name, array in arrays.items()}
    tolerance = tolerance or (HALF_TOLERANCE if half else DEFAULT_TOLERANCE)
    return feeds, partial(compare_with_recorded, recorded=recorded, tolerance=tolerance)


def _shape_text(name: str, array: NDArray[Any], axes: Mapping[str, int]) -> str:
    """Write an input as --shape takes it, with N on its batch axis unless that is the first."""
    sizes = [str(size) for size in array.shape]
    if axis := axes.get(name, 0):
        sizes[axis] = f"N={sizes[axis]}"
    return f"{name}:{','.join(sizes)}"
