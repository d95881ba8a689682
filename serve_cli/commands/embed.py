"""`lifted embed`."""

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
    ModelFile,
    OnDevice,
    Overwrite,
    Relaxed,
    Sessions,
    Threads,
)


def embed(
    model: ModelFile,
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS", help="A folder of images, with sub-folders; or one image.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the embeddings.")],
    batch_size: BatchSize = None,
    threads: Threads = None,
    sessions: Sessions = None,
    device: OnDevice = Device.cpu,
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Turn a folder of images into embeddings, one row per image, in parquet files.

    An image that cannot be read is a row with its error, and the run goes on; the exit status is then 3.
    If every image lies in a sub-folder, the first sub-folder is its label, and `lifted eval` can tell the recall.

    [bold]Examples[/bold]

      lifted embed model.onnx photos --out embeddings

      lifted embed model.onnx photos --out embeddings --device gpu --batch-size 128
    """
    from serve_cli.console import print_facts, print_json, say
    from serve_cli.runtime.embed import EmbedOptions, embed_images
    from serve_cli.runtime.serving import Serving

    serving = Serving(batch_size, threads, sessions, device.value, allow_fallback, relaxed)
    report = embed_images(EmbedOptions(model, photos, out, serving, overwrite))
    if as_json:
        print_json(asdict(report))
    else:
        print_facts(report.facts())
    for failure in report.failures:
        say(f"lifted: failed: {failure}")
    if report.failed:
        raise typer.Exit(SOME_FAILED)
