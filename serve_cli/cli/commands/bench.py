"""`lifted bench`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from serve_cli.cli.shared_options import (
    AllowFallback,
    Json,
    ModelFile,
    NoCache,
    OnDevice,
    Relaxed,
    Threads,
)

Save = Annotated[bool, typer.Option("--save", help="Make the best setting this model's default on this host.")]
Seconds = Annotated[
    float,
    typer.Option("--seconds", min=0.1, metavar="SECONDS", help="Time each setting for this long, in two rounds."),
]
OneBatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", metavar="N", min=1, max=4096, help="Try only this batch size.", show_default="powers of two"
    ),
]
OneSessions = Annotated[
    int | None,
    typer.Option(
        "--sessions",
        metavar="N",
        min=1,
        max=1024,
        help="Try only this number of parallel batches.",
        show_default="powers of two",
    ),
]


def bench(
    model: ModelFile,
    save: Save = False,
    seconds: Seconds = 1.5,
    batch_size: OneBatchSize = None,
    sessions: OneSessions = None,
    threads: Threads = None,
    device: OnDevice = "cpu",
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    no_cache: NoCache = False,
    as_json: Json = False,
) -> None:
    """Find the fastest batch size and number of sessions for a model.

    The command tries all combinations that are powers of two. --batch-size and
    --sessions fix one of the two. Each setting runs in its own process, so that
    its memory can be measured, and is timed from pixels to embeddings.

    [bold]Examples[/bold]

      lifted bench model.onnx

      lifted bench model.onnx --save

      lifted bench model.onnx --device gpu --batch-size 256
    """
    from serve_cli.cli.console import print_facts, print_json, print_table
    from serve_cli.model.benchmark import BenchOptions
    from serve_cli.model.benchmark import bench as run
    from serve_cli.model.model_options import ModelOptions

    model_options = ModelOptions(
        device=device,
        threads=threads,
        sessions=sessions,
        batch_size=batch_size,
        allow_fallback=allow_fallback,
        relaxed=relaxed,
        cache=not no_cache,
    )
    report = run(BenchOptions(model=model, model_options=model_options, seconds=seconds, save=save))
    if as_json:
        print_json(asdict(report))
        return
    print_table(report.columns(), report.rows(), left=2)
    print_facts(report.facts())
