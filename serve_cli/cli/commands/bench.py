"""`lifted bench`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from serve_cli.cli.shared_options import (
    AllowFallback,
    Device,
    Json,
    ModelFile,
    NoCache,
    OnDevice,
    Relaxed,
    Threads,
)


def bench(
    model: ModelFile,
    save: Annotated[
        bool, typer.Option("--save", help="Make the best setting the default for this model on this machine.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="Least time of a setting in each of two rounds.")] = 1.5,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Try this one alone.", show_default="powers of two")
    ] = None,
    sessions: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Batches side by side; try this number alone.", show_default="all splits"),
    ] = None,
    threads: Threads = None,
    device: OnDevice = Device.cpu,
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    no_cache: NoCache = False,
    as_json: Json = False,
) -> None:
    """Find the batch size and the split of threads that a model is fastest with on this machine.

    Batch sizes and numbers of sessions are powers of two, all combined; --batch-size and --sessions fix one of them.
    Each setting has a process of its own, so that its memory can be told, and is measured from pixels to embeddings.

    [bold]Examples[/bold]

      lifted bench model.onnx

      lifted bench model.onnx --save

      lifted bench model.onnx --device gpu --batch-size 256
    """
    from serve_cli.cli.console import print_facts, print_json, print_table
    from serve_cli.model.benchmark import BenchOptions
    from serve_cli.model.benchmark import bench as run
    from serve_cli.model.model_options import ModelOptions

    serving = ModelOptions(
        device=device.value,
        threads=threads,
        sessions=sessions,
        batch_size=batch_size,
        allow_fallback=allow_fallback,
        relaxed=relaxed,
        cache=not no_cache,
    )
    report = run(BenchOptions(model=model, model_options=serving, seconds=seconds, save=save))
    if as_json:
        print_json(asdict(report))
        return
    print_table(report.columns(), report.rows(), left=2)
    print_facts(report.facts())
