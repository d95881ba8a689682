"""Options for the inputs of a saved MXNet network: names, shapes and types."""

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
ANY_NETWORK = "Any MXNet network"  # title of a panel of --help

Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="NAME:N,C,H,W",
        show_default="images named data, of 224 px",
        help="Set the name and shape of an input. The batch axis is the first, or the one written as N or N=4. The "
        "model accepts any batch size unless the network works for one size only. Repeat it for several inputs.",
        rich_help_panel=ANY_NETWORK,
    ),
]
Dtypes = Annotated[
    list[str] | None,
    typer.Option(
        "--dtype",
        metavar="NAME:TYPE",
        help=f"Set the type of an input: {', '.join(DTYPES)}. Repeat it for several inputs.",
        show_default="type of the first weight",
        rich_help_panel=ANY_NETWORK,
    ),
]


def network_inputs(shapes: list[str], dtypes: list[str] | None) -> NetworkInputs:
    """Parse shapes such as ``data:1,3,224,224`` or ``data:128,N=4``, and types such as ``data:int32``.

    Raises
    ------
    typer.BadParameter
        If a text cannot be parsed, an input is given twice or has a type but no shape, or batch sizes differ.
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
            raise typer.BadParameter(f"--shape is {text!r}; expected NAME:SIZES, such as data:1,3,224,224")
        name = match["name"] or "data"
        if name in parsed:
            raise typer.BadParameter(f"--shape gives input {name!r} twice; give each input once")
        batches.update(int(number) for number in numbers[counted[0] : counted[0] + 1] if number)
        parsed[name] = tuple(N if axis == counted[0] else int(number) for axis, number in enumerate(numbers))
    if len(batches) > 1:
        listed = " and ".join(map(str, sorted(batches)))
        raise typer.BadParameter(f"--shape has batch sizes {listed}; expected one. Write N or N=4 for the batch axis")
    types = {}
    for text in dtypes or []:
        name, _, dtype = text.rpartition(":")
        if dtype not in DTYPES or (name or "data") not in parsed:
            expected = f"NAME:TYPE, an input of --shape and one of {', '.join(DTYPES)}"
            raise typer.BadParameter(f"--dtype is {text!r}; expected {expected}")
        types[name or "data"] = np.dtype(dtype)
    return NetworkInputs(parsed, types, next(iter(batches), 1))
