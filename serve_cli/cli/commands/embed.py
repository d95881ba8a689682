"""`lifted embed`."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from serve_cli.cli.shared_options import (
    SOME_FAILED,
    AllowFallback,
    BatchSize,
    Device,
    Json,
    ModelFile,
    NoCache,
    OnDevice,
    Overwrite,
    Relaxed,
    Sessions,
    Threads,
    parse_size,
)

MANIFEST = "Columns of a .csv, .jsonl or .parquet; all others are carried along"
STORED = "What is stored"
SHARED = "Many machines"
BOUNDS = "Bounds"


class Format(str, Enum):
    """Of part files."""

    parquet = "parquet"
    npy = "npy"


class Dtype(str, Enum):
    """Of stored numbers."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


class Engine(str, Enum):
    """What the parts are computed by."""

    local = "local"
    ray = "ray"


def embed(
    model: ModelFile,
    photos: Annotated[
        str,
        typer.Argument(
            metavar="PHOTOS",
            help="Path, quoted pattern or URL (s3://, gs://, https://) of a folder of images or of tar shards, a .tar, "
            "a .txt of paths, or a .csv, .jsonl or .parquet; or an image.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the embeddings.")],
    batch_size: BatchSize = None,
    threads: Threads = None,
    sessions: Sessions = None,
    device: OnDevice = Device.cpu,
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    no_cache: NoCache = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Compute parts anew in which images failed.")
    ] = False,
    ignore_changed_files: Annotated[
        bool,
        typer.Option(
            "--ignore-changed-files", help="Resume although image files have other sizes or modification times."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and how long it takes; write nothing.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    id_column: Annotated[
        str, typer.Option(help="Of a manifest: what names a row; else its path.", rich_help_panel=MANIFEST)
    ] = "id",
    path_column: Annotated[str, typer.Option(help="Its images' paths.", rich_help_panel=MANIFEST)] = "path",
    bytes_column: Annotated[
        str, typer.Option(help="Of parquet: the images themselves.", rich_help_panel=MANIFEST)
    ] = "bytes",
    label_column: Annotated[str, typer.Option(help="Their classes.", rich_help_panel=MANIFEST)] = "label",
    file_format: Annotated[
        Format,
        typer.Option(
            "--format",
            help="npy: as clip-retrieval lays it out, for autofaiss; failed images lie apart.",
            rich_help_panel=STORED,
        ),
    ] = Format.parquet,
    dtype: Annotated[
        Dtype,
        typer.Option("--dtype", help="Of the numbers; int8 has a scale for each row.", rich_help_panel=STORED),
    ] = Dtype.float32,
    checksums: Annotated[
        bool,
        typer.Option("--checksums", help="Add SHA-256 and size of each image's file.", rich_help_panel=STORED),
    ] = False,
    shard_size: Annotated[
        int,
        typer.Option(min=1, help="Images of a part file; what a stopped run loses at most.", rich_help_panel=STORED),
    ] = 100_000,
    engine: Annotated[
        Engine,
        typer.Option("--engine", help="ray: the workers of a Ray cluster share the parts.", rich_help_panel=SHARED),
    ] = Engine.local,
    num_shards: Annotated[
        int,
        typer.Option(
            min=1, help="Runs that share the work and the folder, e.g. of a job array.", rich_help_panel=SHARED
        ),
    ] = 1,
    shard_index: Annotated[
        int, typer.Option(min=0, help="Which of them this one is, from 0.", rich_help_panel=SHARED)
    ] = 0,
    max_memory: Annotated[
        Any,
        typer.Option(
            "--max-memory",
            parser=parse_size,
            metavar="SIZE",
            help="All that the process may take, e.g. 4GB; images wait for one another, and fail if one alone is "
            "too large.",
            show_default="half of what the machine or container has",
            rich_help_panel=BOUNDS,
        ),
    ] = None,
    pixel_limit: Annotated[
        int,
        typer.Option(
            "--pixel-limit",
            min=1,
            max=178_956_970,
            help="Images with more pixels fail.",
            rich_help_panel=BOUNDS,
        ),
    ] = 178_956_970,
    image_timeout: Annotated[
        float,
        typer.Option(
            "--image-timeout",
            metavar="SECONDS",
            help="Time for an image from a server or object store, with redirects, retries and pauses.",
            rich_help_panel=BOUNDS,
        ),
    ] = 60.0,
) -> None:
    """Turn images into embeddings, one row per image, in parquet files.

    An image that cannot be read is a row with its error, and the run goes on; the exit status is then 3.
    If every image lies in a sub-folder, the first sub-folder is its label, and `lifted eval` can tell the recall.
    The same command, given again, goes on where a run was stopped, with the same result; if the model, the list of
    images or the settings have changed since, it says so and does nothing. Images are known by their names: one that
    was replaced under its name is not noticed.

    [bold]Examples[/bold]

      lifted embed model.onnx photos --out embeddings

      lifted embed model.onnx photos --out embeddings --dry-run

      lifted embed model.onnx photos --out embeddings --device gpu --batch-size 128

      lifted embed model.onnx 'photos/*/front*.jpg' --out embeddings --dtype float16

      lifted embed model.onnx catalog.parquet --out embeddings --id-column sku --bytes-column image

      lifted embed model.onnx s3://shop/shards --out embeddings --num-shards 10 --shard-index 3

      lifted embed model.onnx photos --out /shared/embeddings --engine ray --shard-size 10000
    """
    from serve_cli.embed.embed_options import ArrayTask, EmbedOptions, Output
    from serve_cli.model.model_options import Serving
    from serve_cli.sources.tables.columns import Columns

    options = EmbedOptions(
        model,
        photos,
        out,
        Serving(batch_size, threads, sessions, device.value, allow_fallback, relaxed, not no_cache),
        Columns(id_column, path_column, bytes_column, label_column),
        Output(shard_size, file_format.value, dtype.value, checksums),
        ArrayTask(shard_index, num_shards),
        max_memory,
        pixel_limit,
        overwrite,
        retry_failed,
        engine.value,
        ignore_changed_files,
        image_timeout,
    )
    if dry_run:
        _forecast(options, as_json)
    else:
        _embed(options, as_json)


def _embed(options: Any, as_json: bool) -> None:
    from serve_cli.cli.console import say
    from serve_cli.embed.embed_images import embed_images

    report = embed_images(options)
    _show(report, as_json)
    if report.failed:
        more = report.failed - len(report.failures)
        others = f"and {more:,} others; " if more else ""
        say(f"lifted: {others}column error has all reasons; once mended, --retry-failed computes their parts anew.")
        raise typer.Exit(SOME_FAILED)


def _forecast(options: Any, as_json: bool) -> None:
    from serve_cli.embed.dry_run import estimate_run

    _show(estimate_run(options), as_json)


def _show(report: Any, as_json: bool) -> None:
    from serve_cli.cli.console import print_facts, print_json, say

    if as_json:
        print_json(asdict(report))
    else:
        print_facts(report.facts())
    for failure in report.failures:
        say(f"lifted: failed: {failure}")
