"""`lifted eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gluon_lifted.metrics.choices import ClusteringProtocol, Distance
from serve_cli.choices import PublishedDataset
from serve_cli.cli.shared_options import (
    SOME_FAILED,
    AllowFallback,
    BatchSize,
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

Style = Literal["table", "json", "csv", "markdown"]

Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="EMBEDDINGS|MODEL.onnx...",
        help="Evaluate what `lifted embed` or `lifted export` wrote; compare the others with the first.",
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option("--dataset", help="Evaluate models on the test images of a data set that `lifted train` knows."),
]
Data = Annotated[Path | None, typer.Option("--data", help="Read that data set from this folder.")]
UseBoxes = Annotated[
    bool, typer.Option("--use-boxes", help="Crop images to the data set's bounding boxes, as in training.")
]
Gallery = Annotated[
    Path | None,
    typer.Option(
        "--gallery", help="Look images up in these embeddings.", show_default="all other images of the same folder"
    ),
]
DistanceName = Annotated[Distance, typer.Option("--distance", help="Compare embeddings by this distance.")]
RecallOnly = Annotated[
    bool, typer.Option("--recall-only", help="Compute recall@k and MRR alone, up to 3 times as fast.")
]
Queries = Annotated[
    int | None,
    typer.Option(
        "--queries",
        min=1,
        help="Sample this many queries; the intervals include the error of sampling.",
        show_default="all",
    ),
]
Clustering = Annotated[
    ClusteringProtocol | None,
    typer.Option(
        "--clustering", help="Add NMI, F1 and AMI of k-means, as the paper's authors ran it or as is usual now."
    ),
]
Baseline = Annotated[bool, typer.Option("--baseline", help="Add raw pixels of 16 x 16 px thumbnails.")]
Paper = Annotated[
    PublishedDataset | None,
    typer.Option("--paper", help="Add the results published on this data set, with their sources."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Draw samples, bootstrap and k-means with this seed.")]
PrintStyle = Annotated[
    Style,
    typer.Option("--format", help="Print the results in this format; json and csv have shares of 1, not percent."),
]


def evaluate(
    sources: Sources,
    k: Ks = "1,2,4,8",
    dataset: Dataset = None,
    data: Data = None,
    use_boxes: UseBoxes = False,
    gallery: Gallery = None,
    distance: DistanceName = "euclidean",
    recall_only: RecallOnly = False,
    queries: Queries = None,
    clustering: Clustering = None,
    baseline: Baseline = False,
    paper: Paper = None,
    seed: Seed = 0,
    batch_size: BatchSize = None,
    threads: Threads = None,
    sessions: Sessions = None,
    device: OnDevice = "cpu",
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    no_cache: NoCache = False,
    style: PrintStyle = "table",
    as_json: Json = False,
) -> None:
    """Print retrieval metrics of embeddings, side by side, with 95 % intervals.

    Each image is looked up among all others, nearest first; ties keep the listed
    order. R is the number of others of its class. With --gallery, an image that
    is in the gallery, too, finds itself. Images without an embedding are left out
    and counted; the exit status is then 3.

      R@k          one of its class is among the k nearest, as in the paper
                   (R@1 is precision@1)
      MRR          1 / rank of the first of its class
      R-precision  share of its class among the R nearest
      MAP@R        precision at each hit among the R nearest, summed, over R
      mAP          precision at each hit in the whole list, summed, over R

    [bold]Examples[/bold]

      lifted eval embeddings --k 1,10,100

      lifted eval fp32.onnx int8.onnx --dataset cars196 --data cars --baseline

      lifted eval queries --gallery catalog --distance cosine --format csv
    """
    from serve_cli.evaluate.eval_options import EvalOptions, Images
    from serve_cli.evaluate.eval_steps import evaluate as run
    from serve_cli.model.model_options import ModelOptions

    if as_json and style not in ("table", "json"):
        raise typer.BadParameter(f"--json and --format {style} do not go together", param_hint="--format")
    model_options = ModelOptions(
        device=device,
        threads=threads,
        sessions=sessions,
        batch_size=batch_size,
        allow_fallback=allow_fallback,
        relaxed=relaxed,
        cache=not no_cache,
    )
    options = EvalOptions(
        sources=tuple(sources),
        ks=parse_ks(k),
        images=Images(dataset=dataset, data=data, use_boxes=use_boxes, model_options=model_options),
        gallery=gallery,
        distance=distance,
        recall_only=recall_only,
        queries=queries,
        clustering=clustering,
        baseline=baseline,
        published=paper,
        seed=seed,
    )
    report = run(options)
    _print(report, "json" if as_json else style)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def _print(report: EvalReport, style: Style) -> None:
    from serve_cli.cli.console import print_facts, print_json, print_table
    from serve_cli.evaluate.eval_tables import (
        footnotes,
        published_table,
        result_tables,
        to_csv,
        to_markdown,
    )

    if style == "json":
        print_json(report.to_json())
    elif style == "csv":
        typer.echo(to_csv(report), nl=False)
    elif style == "markdown":
        typer.echo(to_markdown(report))
    else:
        for table in result_tables(report):
            print_table(table.columns, table.rows)
        if report.published:
            table = published_table(report)
            print_table(table.columns, table.rows, left=2)
        print_facts(report.facts() | footnotes(report))
