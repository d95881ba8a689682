"""`lifted eval`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from serve_cli.options import (
    SOME_FAILED,
    AllowFallback,
    BatchSize,
    Device,
    Json,
    Ks,
    OnDevice,
    Relaxed,
    Sessions,
    Threads,
    parse_ks,
)


def evaluate(
    source: Annotated[
        Path, typer.Argument(metavar="EMBEDDINGS|MODEL.onnx", help="What `lifted embed` or `lifted export` wrote.")
    ],
    k: Ks = "1,2,4,8",
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="For a model: a data set that `lifted train` knows; its test images."),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="For a model: where the data set lies.")] = None,
    use_boxes: Annotated[
        bool, typer.Option("--use-boxes", help="Cut images to the data set's bounding boxes, as in training.")
    ] = False,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Add the recall of raw pixels of 16 x 16 px thumbnails.")
    ] = False,
    batch_size: BatchSize = None,
    threads: Threads = None,
    sessions: Sessions = None,
    device: OnDevice = Device.cpu,
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    as_json: Json = False,
) -> None:
    """Print recall@k: the share of images with at least one image of their class among the k nearest others.

    Images without an embedding are left out and counted; the exit status is then 3.

    [bold]Examples[/bold]

      lifted eval embeddings --k 1,10,100

      lifted eval model.onnx --dataset cars196 --data cars --baseline
    """
    from serve_cli.console import print_facts, print_json, print_table
    from serve_cli.runtime.evaluate import EvalOptions
    from serve_cli.runtime.evaluate import evaluate as run
    from serve_cli.runtime.inference.serving import Serving

    serving = Serving(batch_size, threads, sessions, device.value, allow_fallback, relaxed)
    report = run(EvalOptions(source, parse_ks(k), dataset, data, use_boxes, baseline, serving))
    if as_json:
        print_json(asdict(report))
    else:
        print_table(report.columns(), report.rows())
        print_facts(report.facts())
    if report.failed:
        raise typer.Exit(SOME_FAILED)
