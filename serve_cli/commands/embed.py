"""`lifted embed`."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
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

MANIFEST = "Columns of a .csv, .jsonl or .parquet; all others are carried along"


class Format(str, Enum):
    """Of part files."""

    parquet = "parquet"
    npy = "npy"


def embed(
    model: ModelFile,
    photos: Annotated[
        str,
        typer.Argument(
            metavar="PHOTOS",
            help="Path or URL (s3://, gs://) of a folder of images or of tar shards, a .tar, a .txt of paths, or a "
            ".csv, .jsonl or .parquet; or an image.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the embeddings.")],
    batch_size: BatchSize = None,
    threads: Threads = None,
    sessions: Sessions = None,
    device: OnDevice = Device.cpu,
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    id_column: Annotated[
        str, typer.Option(help="Of a manifest: what names a row; else its path.", rich_help_panel=MANIFEST)
    ] = "id",
    path_column: Annotated[str, typer.Option(help="Its images' paths.", rich_help_panel=MANIFEST)] = "path",
    bytes_column: Annotated[
        str, typer.Option(help="Of parquet: the images themselves.", rich_help_panel=MANIFEST)
    ] = "bytes",
    label_column: Annotated[str, typer.Option(help="Their classes.", rich_help_panel=MANIFEST)] = "label",
    shard_size: Annotated[int, typer.Option(min=1, help="Images of a part file.")] = 100_000,
    file_format: Annotated[
        Format,
        typer.Option("--format", help="npy: as clip-retrieval lays it out, for autofaiss; failed images lie apart."),
    ] = Format.parquet,
    num_shards: Annotated[
        int, typer.Option(min=1, help="Runs that share the work and the folder, e.g. of a job array.")
    ] = 1,
    shard_index: Annotated[int, typer.Option(min=0, help="Which of them this one is, from 0.")] = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Turn images into embeddings, one row per image, in parquet files.

    An image that cannot be read is a row with its error, and the run goes on; the exit status is then 3.
    If every image lies in a sub-folder, the first sub-folder is its label, and `lifted eval` can tell the recall.
    The same command, given again, goes on where a run was stopped, with the same result; if the model or the images
    have changed since, it says so and does nothing.

    [bold]Examples[/bold]

      lifted embed model.onnx photos --out embeddings

      lifted embed model.onnx photos --out embeddings --device gpu --batch-size 128

      lifted embed model.onnx catalogue.parquet --out embeddings --id-column sku --bytes-column image

      lifted embed model.onnx photos --out embeddings --num-shards 10 --shard-index 3
    """
    from serve_cli.console import print_facts, print_json, say
    from serve_cli.runtime.embed import EmbedOptions, embed_images
    from serve_cli.runtime.serving import Serving
    from serve_cli.runtime.sources.manifest import Columns

    columns = Columns(id_column, path_column, bytes_column, label_column)
    serving = Serving(batch_size, threads, sessions, device.value, allow_fallback, relaxed)
    options = EmbedOptions(
        model, photos, out, serving, columns, shard_size, file_format.value, num_shards, shard_index, overwrite
    )
    report = embed_images(options)
    if as_json:
        print_json(asdict(report))
    else:
        print_facts(report.facts())
    for failure in report.failures:
        say(f"lifted: failed: {failure}")
    if report.failed:
        raise typer.Exit(SOME_FAILED)
