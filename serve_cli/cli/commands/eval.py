"""`lifted eval`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_cli.cli.shared_options import (
    SOME_FAILED,
    AllowFallback,
    BatchSize,
    Device,
    Json,
    Ks,
    NoCache,
    OnDevice,
    Relaxed,
    Sessions,
    Threads,
    parse_ks,
)

if TYPE_CHECKING:
    from serve_cli.evaluate.eval_report import EvalReport


class Distance(str, Enum):
    """How far two embeddings are from one another."""

    euclidean = "euclidean"
    cosine = "cosine"


class Protocol(str, Enum):
    """How k-means is run."""

    authors = "authors"
    modern = "modern"


class Paper(str, Enum):
    """Data sets with published results."""

    cub200 = "cub200"
    cars196 = "cars196"
    sop = "sop"


class Format(str, Enum):
    """How the report is printed."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


def evaluate(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="EMBEDDINGS|MODEL.onnx...",
            help="What `lifted embed` or `lifted export` wrote; the first is compared with.",
        ),
    ],
    k: Ks = "1,2,4,8",
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="For models: a data set that `lifted train` knows; its test images."),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="For models: where the data set lies.")] = None,
    use_boxes: Annotated[
        bool, typer.Option("--use-boxes", help="Cut images to the data set's bounding boxes, as in training.")
    ] = False,
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", help="Embeddings to look the others up in.", show_default="all others of the same"),
    ] = None,
    distance: Annotated[
        Distance, typer.Option("--distance", help="How far two embeddings are apart.")
    ] = Distance.euclidean,
    recall_only: Annotated[
        bool, typer.Option("--recall-only", help="Recall@k and MRR alone; up to 3 times as quick.")
    ] = False,
    queries: Annotated[
        int | None,
        typer.Option(
            "--queries", min=1, help="Sample so many queries; intervals say what that costs.", show_default="all"
        ),
    ] = None,
    clustering: Annotated[
        Protocol | None,
        typer.Option(
            "--clustering", help="Add NMI, F1 and AMI of k-means: as the paper's authors ran it, or as is usual now."
        ),
    ] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="Add raw pixels of 16 x 16 px thumbnails.")] = False,
    paper: Annotated[
        Paper | None, typer.Option("--paper", help="Add what was published on a data set, with sources.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of samples, bootstrap and k-means.")] = 0,
    batch_size: BatchSize = None,
    threads: Threads = None,
    sessions: Sessions = None,
    device: OnDevice = Device.cpu,
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    no_cache: NoCache = False,
    style: Annotated[
        Format,
        typer.Option("--format", help="How to print what was found; json and csv give shares of 1, not percent."),
    ] = Format.table,
    as_json: Json = False,
) -> None:
    """Print retrieval metrics of embeddings, side by side, with 95 % intervals.

    Each image is looked up among all others, nearest first; of equally near ones,
    the first listed. R is the number of others of its class. In a --gallery an
    image that lies there, too, finds itself. Images without an embedding are left
    out and counted; the exit status is then 3.

      R@k          has one of its class among the k nearest, as in the paper
                   (R@1 is precision@1)
      MRR          1 / rank of the first of its class
      R-precision  share of its class among the R nearest
      MAP@R        precision at each hit among the R nearest, summed, over R
      mAP          precision at each hit in the whole list, summed, over R

    [bold]Examples[/bold]

      lifted eval embeddings --k 1,10,100

      lifted eval fp32.onnx int8.onnx --dataset cars196 --data cars --baseline --paper cars196

      lifted eval queries --gallery catalog --distance cosine --format csv
    """
    from serve_cli.evaluate.eval_options import EvalOptions, Images
    from serve_cli.evaluate.eval_steps import evaluate as run
    from serve_cli.model.model_options import Serving

    if as_json and style not in (Format.table, Format.json):
        raise typer.BadParameter(f"--json and --format {style.value} do not go together", param_hint="--format")
    serving = Serving(batch_size, threads, sessions, device.value, allow_fallback, relaxed, not no_cache)
    options = EvalOptions(
        sources=tuple(sources),
        ks=parse_ks(k),
        images=Images(dataset, data, use_boxes, serving),
        gallery=gallery,
        distance=distance.value,
        recall_only=recall_only,
        queries=queries,
        clustering=clustering.value if clustering else None,
        baseline=baseline,
        published=paper.value if paper else None,
        seed=seed,
    )
    report = run(options)
    _print(report, Format.json if as_json else style)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def _print(report: EvalReport, style: Format) -> None:
    from serve_cli.cli.console import print_facts, print_json, print_table
    from serve_cli.evaluate.eval_tables import (
        footnotes,
        published_table,
        result_tables,
        to_csv,
        to_markdown,
    )

    if style is Format.json:
        print_json(report.to_json())
    elif style is Format.csv:
        typer.echo(to_csv(report), nl=False)
    elif style is Format.markdown:
        typer.echo(to_markdown(report))
    else:
        for table in result_tables(report):
            print_table(table.columns, table.rows)
        if report.published:
            table = published_table(report)
            print_table(table.columns, table.rows, left=2)
        print_facts(report.facts() | footnotes(report))
