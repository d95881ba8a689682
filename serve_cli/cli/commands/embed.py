"""`lifted embed`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from serve_cli.choices import Dtype, Engine
from serve_cli.cli.shared_options import (
    SOME_FAILED,
    AllowFallback,
    BatchSize,
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
from serve_cli.embeddings.part_formats import DEFAULT_FORMAT, FORMATS
from serve_cli.sources.file_kinds import known_kinds

if TYPE_CHECKING:
    from serve_cli.embed.dry_run import RunEstimate
    from serve_cli.embed.embed_images import EmbedReport
    from serve_cli.embed.embed_options import EmbedOptions

TABLE = "Columns of a table; all others are copied to the output"
OUTPUT = "Output"
SHARED = "Several hosts"
LIMITS = "Limits"

Photos = Annotated[
    str,
    typer.Argument(
        metavar="PHOTOS",
        help="Embed the images of this folder, file, quoted pattern or URL (s3://, gs://, https://). "
        f"A file is an image or {known_kinds()}.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Write the embeddings to this folder.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Recompute part files that contain failed images.")]
IgnoreChangedFiles = Annotated[
    bool,
    typer.Option("--ignore-changed-files", help="Resume even if sizes or modification times of image files changed."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate the work and the time without writing anything.")]
IdColumn = Annotated[
    str,
    typer.Option(
        "--id-column",
        metavar="NAME",
        help="Read row ids from this column, or use paths if there is none.",
        rich_help_panel=TABLE,
    ),
]
PathColumn = Annotated[
    str, typer.Option("--path-column", metavar="NAME", help="Read image paths from this column.", rich_help_panel=TABLE)
]
BytesColumn = Annotated[
    str,
    typer.Option(
        "--bytes-column",
        metavar="NAME",
        help="Read encoded images from this column of a .parquet.",
        rich_help_panel=TABLE,
    ),
]
LabelColumn = Annotated[
    str,
    typer.Option("--label-column", metavar="NAME", help="Read class names from this column.", rich_help_panel=TABLE),
]
FileFormat = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help=f"Write {', or '.join(f'{name} ({form.help})' for name, form in FORMATS.items())}.",
        rich_help_panel=OUTPUT,
    ),
]
StorageType = Annotated[
    Dtype,
    typer.Option(
        "--dtype",
        metavar="TYPE",
        help=f"Store embeddings in this type: {', '.join(get_args(Dtype))}. int8 adds a scale per row.",
        rich_help_panel=OUTPUT,
    ),
]
Checksums = Annotated[
    bool,
    typer.Option("--checksums", help="Add the SHA-256 and the size of each image file.", rich_help_panel=OUTPUT),
]
RowsPerFile = Annotated[
    int,
    typer.Option(
        "--rows-per-file",
        metavar="N",
        min=1,
        help="Write this many rows per part file. An interrupted run loses at most this many.",
        rich_help_panel=OUTPUT,
    ),
]
OnEngine = Annotated[
    Engine,
    typer.Option(
        "--engine", metavar="local|ray", help="Compute on this host, or on a Ray cluster.", rich_help_panel=SHARED
    ),
]
NumTasks = Annotated[
    int,
    typer.Option(
        "--num-tasks",
        metavar="N",
        min=1,
        help="Split the work among this many tasks, e.g. of a job array, which share the output folder.",
        rich_help_panel=SHARED,
    ),
]
TaskIndex = Annotated[
    int,
    typer.Option(
        "--task-index", metavar="I", min=0, help="Compute the share of this task, from 0.", rich_help_panel=SHARED
    ),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        parser=parse_size,
        metavar="SIZE",
        help="Limit the memory of the process, e.g. to 4GB. Large images are queued. One that can never fit is "
        "recorded as failed.",
        show_default="half of the host's or container's memory",
        rich_help_panel=LIMITS,
    ),
]
PixelLimit = Annotated[
    int,
    typer.Option(
        "--pixel-limit",
        metavar="N",
        min=1,
        max=178_956_970,
        help="Record images with more pixels as failed.",
        rich_help_panel=LIMITS,
    ),
]
ImageTimeout = Annotated[
    float,
    typer.Option(
        "--image-timeout",
        metavar="SECONDS",
        help="Give up on a remote image after this time, including redirects, retries and pauses.",
        rich_help_panel=LIMITS,
    ),
]


def embed(
    model: ModelFile,
    photos: Photos,
    out: Out,
    batch_size: BatchSize = None,
    threads: Threads = None,
    sessions: Sessions = None,
    device: OnDevice = "cpu",
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    no_cache: NoCache = False,
    retry_failed: RetryFailed = False,
    ignore_changed_files: IgnoreChangedFiles = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    id_column: IdColumn = "id",
    path_column: PathColumn = "path",
    bytes_column: BytesColumn = "bytes",
    label_column: LabelColumn = "label",
    file_format: FileFormat = DEFAULT_FORMAT,
    dtype: StorageType = "float32",
    checksums: Checksums = False,
    rows_per_file: RowsPerFile = 100_000,
    engine: OnEngine = "local",
    num_tasks: NumTasks = 1,
    task_index: TaskIndex = 0,
    max_memory: MaxMemory = None,
    pixel_limit: PixelLimit = 178_956_970,
    image_timeout: ImageTimeout = 60.0,
) -> None:
    r"""Embed images and write the embeddings to parquet files.

    The files have one row per image, in order. An image that cannot be read becomes a row with its error, and the run
    continues. The exit status is then 3. If every image is in a sub-folder, the
    first sub-folder is its label, and `lifted eval` can measure recall. Other
    columns of a table are copied. A CSV column is converted to numbers or booleans
    if every value can be converted without losing a digit.

    Interrupted runs resume where they stopped when the same command is repeated.
    If the model, the images or the settings have changed since, the command fails
    and writes nothing.

    [bold]Examples[/bold]

      lifted embed model.onnx photos --out embeddings

      lifted embed model.onnx photos --out embeddings --dry-run

      lifted embed model.onnx photos --out emb --device gpu --batch-size 128

      lifted embed model.onnx 'photos/*/front*.jpg' --out emb --dtype float16

      lifted embed model.onnx catalog.parquet --out emb --bytes-column image

      lifted embed model.onnx s3://shop/shards --out emb \
        --num-tasks 10 --task-index 3

      lifted embed model.onnx photos --out /shared/emb --engine ray
    """
    from serve_cli.embed.embed_options import ArrayTask, EmbedOptions, Output
    from serve_cli.model.model_options import ModelOptions
    from serve_cli.sources.tables.columns import Columns

    if file_format not in FORMATS:
        raise typer.BadParameter(f"{file_format!r} is unknown; expected {' or '.join(FORMATS)}", param_hint="--format")
    if task_index >= num_tasks:
        message = f"{task_index} needs --num-tasks {task_index + 1} or more; found {num_tasks}"
        raise typer.BadParameter(message, param_hint="--task-index")
    options = EmbedOptions(
        model=model,
        source=photos,
        out=out,
        model_options=ModelOptions(
            device=device,
            threads=threads,
            sessions=sessions,
            batch_size=batch_size,
            allow_fallback=allow_fallback,
            relaxed=relaxed,
            cache=not no_cache,
        ),
        columns=Columns(id=id_column, path=path_column, bytes=bytes_column, label=label_column),
        output=Output(rows_per_file=rows_per_file, format=file_format, dtype=dtype, checksums=checksums),
        task=ArrayTask(task_index, num_tasks),
        max_memory=max_memory,
        pixel_limit=pixel_limit,
        overwrite=overwrite,
        retry_failed=retry_failed,
        engine=engine,
        ignore_changed_files=ignore_changed_files,
        image_timeout=image_timeout,
    )
    if dry_run:
        _estimate(options, as_json)
    else:
        _embed(options, as_json)


def _embed(options: EmbedOptions, as_json: bool) -> None:
    from serve_cli.cli.console import say
    from serve_cli.embed.embed_images import embed_images

    report = embed_images(options)
    _show(report, _next_step(report), as_json)
    if report.failed:
        more = report.failed - len(report.failures)
        others = f"and {more:,} others; " if more else ""
        say(f"lifted: {others}all errors are in the column error. Fix the images, then repeat with --retry-failed.")
        raise typer.Exit(SOME_FAILED)


def _estimate(options: EmbedOptions, as_json: bool) -> None:
    from serve_cli.embed.dry_run import estimate_run

    _show(estimate_run(options), {}, as_json)


def _next_step(report: EmbedReport) -> dict[str, str]:
    """Return the command that indexes a complete folder of this host with at least one embedding."""
    if report.parts_missing or report.failed == report.rows or "://" in str(report.out):
        return {}
    return {"next": f"lifted index {shlex.quote(str(report.out))} --out catalog.index"}


def _show(report: EmbedReport | RunEstimate, next_step: dict[str, str], as_json: bool) -> None:
    from serve_cli.cli.console import print_facts, print_json, say

    if as_json:
        print_json(asdict(report))
    else:
        print_facts(report.facts() | next_step)
    for failure in report.failures:
        say(f"lifted: failed: {failure}")
