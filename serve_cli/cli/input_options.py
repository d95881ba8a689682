"""Options that give the inputs of a network of others: names, shapes and types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from export import NetworkInputs
    from export.graph.shape import BatchShape

SIZE = r"(?:N(?:=[0-9]{1,6})?|[0-9]{1,6})"
SHAPE = re.compile(rf"(?:(?P<name>[^:,]+):)?(?P<sizes>{SIZE}(?:,{SIZE}){{0,5}})")
DTYPES = ("float32", "float16", "float64", "int32", "int64", "int8", "uint8")
DEFAULT_SHAPE = "data:1,3,224,224"

Shapes = Annotated[
    list[str],
    typer.Option(
        "--shape",
        help="Set name and shape of an input, as NAME:N,C,H,W. The first size, or the one written as N or N=4, counts "
        "the images; the model takes any number if the network does. Repeat it for several inputs.",
        rich_help_panel="Any MXNet network",
    ),
]
Dtypes = Annotated[
    list[str] | None,
    typer.Option(
        "--dtype",
        metavar="NAME:TYPE",
        help=f"Set the type of an input: {', '.join(DTYPES)}.",
        show_default="that of the first weight",
        rich_help_panel="Any MXNet network",
    ),
]


def network_inputs(shapes: list[str], dtypes: list[str] | None) -> NetworkInputs:
    """Parse shapes such as ``data:1,3,224,224`` or ``data:128,N=4``, and types such as ``data:int32``.

    Raises
    ------
    typer.BadParameter
        For other text, an input that is given twice or has a type but no shape, or two batch sizes.
    """
    import numpy as np

    from export import N, NetworkInputs

    parsed: dict[str, BatchShape] = {}
    batches: set[int] = set()
    for text in shapes:
        match = SHAPE.fullmatch(text)
        sizes = match["sizes"].split(",") if match else []
        counted = [axis for axis, size in enumerate(sizes) if size.startswith("N")] or [0]
        numbers = [size.removeprefix("N").removeprefix("=") for size in sizes]
        if match is None or len(counted) > 1 or any(number and not int(number) for number in numbers):
            raise typer.BadParameter(f"{text!r} is not a shape such as {DEFAULT_SHAPE}")
        name = match["name"] or "data"
        if name in parsed:
            raise typer.BadParameter(f"--shape gives input {name!r} twice")
        batches.update(int(number) for number in numbers[counted[0] : counted[0] + 1] if number)
        parsed[name] = tuple(N if axis == counted[0] else int(number) for axis, number in enumerate(numbers))
    if len(batches) > 1:
        listed = " and ".join(map(str, sorted(batches)))
        raise typer.BadParameter(f"--shape counts {listed} images; write N, or N=4, for the axis that counts them")
    types = {}
    for text in dtypes or []:
        name, _, dtype = text.rpartition(":")
        if dtype not in DTYPES or (name or "data") not in parsed:
            raise typer.BadParameter(f"--dtype is {text!r}; expected NAME:TYPE of an input, with {', '.join(DTYPES)}")
        types[name or "data"] = np.dtype(dtype)
    return NetworkInputs(parsed, types, next(iter(batches), 1))
