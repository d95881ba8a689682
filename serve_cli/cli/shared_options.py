"""Options that more than one command takes, declared once."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Annotated

import typer

from serve_cli.choices import Device
from serve_cli.cli.help_page import GENERAL

SIZE = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?) ?((?P<prefix>[kmgt])(?P<binary>i)?)?b?", re.IGNORECASE)
MOST_RANKS = 1_000_000_000
HARDWARE = "Hardware"  # title of a panel of --help
SOME_FAILED = 3  # exit status: done, but some rows have an error instead of an embedding


def parse_ks(text: str) -> tuple[int, ...]:
    """Parse ``"1,2,4"`` to ``(1, 2, 4)``, ascending. Raise `typer.BadParameter` unless all are at least 1."""
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers such as 1,2,4,8", param_hint="--k") from None
    if ks[0] < 1 or ks[-1] > MOST_RANKS:
        wrong = ks[0] if ks[0] < 1 else ks[-1]
        raise typer.BadParameter(f"found rank {wrong:,}; expected 1 to {MOST_RANKS:,}", param_hint="--k")
    return tuple(ks)


def parse_names(text: str | None, option: str) -> list[str]:
    """Split names at commas. As in CSV, a name with a comma is written in double quotes."""
    try:
        names = [] if text is None else next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise typer.BadParameter(f"{text!r:.100} is not a list of names ({error})", param_hint=option) from None
    if text is not None and not all(names):
        raise typer.BadParameter(f"{text!r:.100} has an empty name", param_hint=option)
    return names


def parse_size(text: str) -> int:
    """Parse ``"4GB"`` to 4,000,000,000 bytes. Also parse kB, MB, TB, binary units such as GiB, and plain bytes."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size such as 4GB or 512MiB")
    base = 1024 if match["binary"] else 1000
    return int(float(match["number"]) * base ** " kmgt".index((match["prefix"] or " ").lower()))


ModelFile = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Run this model of `lifted export`.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        max=4096,
        help="Run the network on this many images at a time.",
        show_default="from `lifted bench --save`, else 8, or 128 on a GPU",
        rich_help_panel=HARDWARE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=1024,
        help="Read images with this many threads, and run the network with as many.",
        show_default="number of usable cores",
        rich_help_panel=HARDWARE,
    ),
]
Sessions = Annotated[
    int | None,
    typer.Option(
        "--sessions",
        metavar="N",
        min=1,
        max=1024,
        help="Run this many batches in parallel on the CPU. They share the threads.",
        show_default="from `lifted bench --save`, else one per thread",
        rich_help_panel=HARDWARE,
    ),
]
OnDevice = Annotated[
    Device,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="Run the network on the CPU (cpu, openvino) or on an NVIDIA GPU (gpu for CUDA, tensorrt).",
        rich_help_panel=HARDWARE,
    ),
]
AllowFallback = Annotated[
    bool,
    typer.Option(
        "--allow-fallback",
        help="Use the CPU instead of failing if the device is not available.",
        rich_help_panel=HARDWARE,
    ),
]
Relaxed = Annotated[
    bool,
    typer.Option(
        "--relaxed",
        help="Multiply float32 in TF32 (gpu) or bfloat16 (openvino): faster, with errors of up to 1e-2.",
        rich_help_panel=HARDWARE,
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Do not cache the optimized model in the user's cache folder. The next run then starts more slowly.",
        rich_help_panel=HARDWARE,
    ),
]
Ks = Annotated[str, typer.Option("--k", metavar="K,...", help="Report recall at these ranks, separated by commas.")]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        metavar="X",
        help="Accept differences from MXNet's outputs up to this value, times the largest output if that exceeds 1.",
        show_default="1e-4, or 1e-2 for float16 networks",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of a table.", rich_help_panel=GENERAL)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing --out.")]
