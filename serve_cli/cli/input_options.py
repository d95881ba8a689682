"""Options that give the inputs of a network of others: names, shapes and types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from export import NetworkInputs

SHAPE = re.compile(r"(?:(?P<name>[^:,]+):)?(?P<sizes>(?:N|[0-9]{1,6})(?:,(?:N|[0-9]{1,6})){0,5})")
DTYPES = ("float32", "float16", "float64", "int32", "int64", "int8", "uint8")
DEFAULT_SHAPE = "data:1,3,224,224"

Shapes = Annotated[
    list[str],
    typer.Option(
        "--shape",
        help="Set name and shape of an input, as NAME:N,C,H,W. The first size, or the one written as N, counts the "
        "images; the model takes any number if the network does. Repeat it for several inputs.",
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
    """Parse shapes such as ``data:1,3,224,224`` or ``data:128,N``, and types such as ``data:int32``.

    Raises
    ------
    typer.BadParameter
        For other text, or an input that is given twice or has a type but no shape.
    """
    import numpy as np

    from export import N, NetworkInputs

    parsed, batch = {}, 1
    for text in shapes:
        match = SHAPE.fullmatch(text)
        sizes = match["sizes"].split(",") if match else []
        if match is None or "0" in (size.lstrip("0") or "0" for size in sizes) or sizes.count("N") > 1:
            raise typer.BadParameter(f"{text!r} is not a shape such as {DEFAULT_SHAPE}")
        name = match["name"] or "data"
        if name in parsed:
            raise typer.BadParameter(f"--shape gives input {name!r} twice")
        if "N" not in sizes:
            batch, sizes[0] = int(sizes[0]), "N"
        parsed[name] = tuple(N if size == "N" else int(size) for size in sizes)
    types = {}
    for text in dtypes or []:
        name, _, dtype = text.rpartition(":")
        if dtype not in DTYPES or (name or "data") not in parsed:
            raise typer.BadParameter(f"--dtype is {text!r}; expected NAME:TYPE of an input, with {', '.join(DTYPES)}")
        types[name or "data"] = np.dtype(dtype)
    return NetworkInputs(parsed, types, batch)
