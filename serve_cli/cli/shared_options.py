"""Options that more than one command takes, declared once."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

SHAPE = re.compile(r"(?:(?P<name>[^:,]+):)?(?P<sizes>[0-9]{1,6}(?:,[0-9]{1,6}){3})")
SIZE = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?) ?((?P<prefix>[kmgt])(?P<binary>i)?)?b?", re.IGNORECASE)
MOST_RANKS = 1_000_000_000
SOME_FAILED = 3  # exit status: done, but some rows have an error instead of an embedding


class Device(str, Enum):
    """Where a network runs."""

    cpu = "cpu"
    openvino = "openvino"
    gpu = "gpu"
    tensorrt = "tensorrt"


def parse_ks(text: str) -> tuple[int, ...]:
    """``"1,2,4"`` -> ``(1, 2, 4)``, ascending. Raises `typer.BadParameter` unless all are at least 1."""
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers such as 1,2,4,8", param_hint="--k") from None
    if ks[0] < 1 or ks[-1] > MOST_RANKS:
        raise typer.BadParameter(f"ranks are 1 to {MOST_RANKS:,}, found {ks[0]} to {ks[-1]}", param_hint="--k")
    return tuple(ks)


def parse_size(text: str) -> int:
    """``"4GB"`` -> 4,000,000,000 bytes; also kB, MB, TB, their binary kin such as GiB, or a number of bytes alone."""
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not an amount of memory such as 4GB or 512MiB")
    base = 1024 if found["binary"] else 1000
    return int(float(found["number"]) * base ** " kmgt".index((found["prefix"] or " ").lower()))


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """``"data:1,3,224,224"`` -> the input's name and its shape. Raises `typer.BadParameter`."""
    found = SHAPE.fullmatch(text)
    sizes = tuple(int(size) for size in found["sizes"].split(",")) if found else (0,)
    if found is None or min(sizes) < 1:
        raise typer.BadParameter(f"shape {text!r} is not understood; write data:1,3,224,224")
    return found["name"] or "data", sizes


ModelFile = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="A model that `lifted export` wrote.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        min=1,
        max=4096,
        help="Images that go through the network together.",
        show_default="what `lifted bench --save` found; 8, on a GPU 128",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=1024,
        help="Threads that read images, and threads of the network.",
        show_default="one a core that this process may use",
    ),
]
Sessions = Annotated[
    int | None,
    typer.Option(
        "--sessions",
        min=1,
        max=1024,
        help="Batches that go side by side on the CPU; they share the threads.",
        show_default="what `lifted bench --save` found, or one a thread",
    ),
]
OnDevice = Annotated[
    Device, typer.Option("--device", help="Where the network runs; openvino is a CPU's, gpu and tensorrt are NVIDIA's.")
]
AllowFallback = Annotated[
    bool, typer.Option("--allow-fallback", help="Take the CPU if the device cannot be used, instead of failing.")
]
Relaxed = Annotated[
    bool,
    typer.Option(
        "--relaxed", help="Let fp32 be rounded in products, to TF32 (gpu) or bfloat16 (openvino); faster, off by 1e-2."
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Do not keep the optimized model in the user's cache folder; the next run starts more slowly.",
    ),
]
Ks = Annotated[str, typer.Option("--k", help="Ranks to report recall at, with commas between them.")]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        help="Largest difference from MXNet's outputs, over their largest if that is > 1.",
        show_default="1e-4; 1e-2 for networks in float16",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run left there.")]
