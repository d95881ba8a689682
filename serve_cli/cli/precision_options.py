"""Options that reduce a model's precision, and say how much worse it may become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from export.choices import CalibrationMethod, Precision
from serve_cli.choices import Device

LOWER = "Lower precision"  # title of a panel of --help

ToPrecision = Annotated[
    Precision,
    typer.Option(
        "--precision",
        metavar="PRECISION",
        help="Keep the trained precision (fp32), or reduce it for GPUs (fp16) or CPUs with VNNI or AMX (int8).",
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="DIR",
        help="Calibrate int8 with up to 200 images of this folder, similar to the images to embed.",
    ),
]
RangeMethod = Annotated[
    CalibrationMethod,
    typer.Option(
        "--calibration-method",
        metavar="METHOD",
        help=f"Measure activation ranges by this method: {', '.join(get_args(CalibrationMethod))}.",
        rich_help_panel=LOWER,
    ),
]
ForDevice = Annotated[
    Device,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="Compare the model with fp32 on this device: cpu, openvino, gpu or tensorrt.",
        rich_help_panel=LOWER,
    ),
]
EvalOn = Annotated[
    str | None,
    typer.Option(
        "--eval", metavar="DATASET", help="Compare recall@1 with fp32 on this data set.", rich_help_panel=LOWER
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="PATH", help="Read the data set from this folder.", rich_help_panel=LOWER),
]
MaxRecallDrop = Annotated[
    float,
    typer.Option(
        "--max-recall-drop",
        metavar="POINTS",
        min=0,
        help="Accept a loss of up to this many points of recall@1.",
        rich_help_panel=LOWER,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Write the model even if it is slower or worse.", rich_help_panel=LOWER)
]
